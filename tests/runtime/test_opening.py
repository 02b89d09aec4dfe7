"""The ladder of execution providers, and the variant that is opened on one."""

import dataclasses
import shutil

import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.errors import OptionError, ProviderError
from emotion2vec_edge.engine.recognizer import opening_of
from emotion2vec_edge.engine.runtime.opening import choose, provider_named
from emotion2vec_edge.engine.runtime.providers import CPU, CUDA, PROVIDERS, TENSORRT
from emotion2vec_edge.engine.runtime.session import SessionConfig
from emotion2vec_edge.engine.settings import PROVIDER_NAMES

ALL = [TENSORRT.ort_name, CUDA.ort_name, CPU.ort_name]


def opened(tier):
    return tier.open_session(b"", SessionConfig(2))


def test_every_name_has_its_provider():
    assert [provider.name for provider in PROVIDERS] == list(PROVIDER_NAMES)
    assert all(provider_named(name).name == name for name in PROVIDER_NAMES)


def test_auto_takes_the_highest_tier_that_serves(fake_ort):
    fake_ort(ALL)
    assert choose("auto", opened).provider.name == "tensorrt"
    fake_ort([CUDA.ort_name, CPU.ort_name])
    assert choose("auto", opened).provider.name == "cuda"
    fake_ort([CPU.ort_name])
    chosen = choose("auto", opened)
    assert chosen.provider.name == "cpu"
    assert len(chosen.skipped) == 2


def test_a_silent_fall_back_is_noticed(fake_ort):
    """ONNX Runtime creates the session on the CPU when CUDA's libraries are missing."""
    fake_ort([CUDA.ort_name, CPU.ort_name], serving=[CPU.ort_name])
    chosen = choose("auto", opened)
    assert chosen.provider.name == "cpu"
    assert any("fell back to CPUExecutionProvider" in reason for reason in chosen.skipped)
    with pytest.raises(ProviderError, match="fell back"):
        choose("cuda", opened)


def test_a_tier_that_fails_gives_its_reason_and_the_next_serves(fake_ort):
    missing = RuntimeError("libnvinfer.so.10: cannot open\nmore")
    fake_ort(ALL, error={TENSORRT.ort_name: missing})
    chosen = choose("auto", opened)
    assert chosen.provider.name == "cuda"
    assert "libnvinfer.so.10: cannot open" in chosen.skipped[0]
    with pytest.raises(ProviderError, match=r"libnvinfer.*pip"):
        choose("tensorrt", opened)


def test_a_named_provider_is_never_replaced(fake_ort):
    fake_ort([CPU.ort_name])
    with pytest.raises(ProviderError, match="has no CUDAExecutionProvider.*pip install"):
        choose("cuda", opened)


def test_an_unknown_provider_lists_the_known():
    with pytest.raises(OptionError, match="auto, tensorrt, cuda, cpu"):
        choose("gpu", opened)


@pytest.mark.parametrize("name", ["openvino", "coreml", "xnnpack"])
def test_further_providers_are_taken_by_name_only(fake_ort, name):
    tier = provider_named(name)
    fake_ort([tier.ort_name, CPU.ort_name])
    assert choose("auto", opened).provider is CPU
    assert choose(name, opened).provider is tier
    fake_ort([CPU.ort_name])
    with pytest.raises(ProviderError, match=tier.ort_name):
        choose(name, opened)


@pytest.fixture
def two_variants(tmp_path):
    """The embedded bundle with its fp32 graphs under the name int8 too."""
    folder = tmp_path / "two"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, folder)
    manifest = open_bundle(folder).manifest
    fp32 = manifest.variants["fp32"]
    manifest = dataclasses.replace(manifest, variants={"fp32": fp32, "int8": fp32})
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


def test_int8_is_refused_on_a_gpu_with_the_reason(fake_ort, two_variants):
    fake_ort(ALL)
    for name in ("cuda", "tensorrt"):
        with pytest.raises(ProviderError, match="CUDA has none for DynamicQuantizeLinear"):
            Recognizer.load(two_variants, provider=name, precision="int8")
    assert Recognizer.load(two_variants, precision="int8").provider == "cpu"


def test_auto_precision_suits_the_provider(fake_ort, two_variants):
    fake_ort(ALL)
    assert Recognizer.load(two_variants, provider="cuda").precision == "fp32"
    assert Recognizer.load(two_variants, provider="cpu").precision == "int8"


def test_an_unknown_precision_lists_the_known():
    with pytest.raises(OptionError, match="auto, fp32, int8, fp16"):
        Recognizer.load(precision="int4")


def test_options_are_one_providers_own():
    with pytest.raises(OptionError, match="name it instead of auto"):
        Recognizer.load(provider_options={"device_id": 1})


def test_the_same_sessions_can_be_opened_again(recognizer, example_samples):
    again = opening_of(recognizer).open()
    assert again is not recognizer.encoder
    expected = recognizer.encoder.encode(example_samples)[1]
    assert (again.encode(example_samples)[1] == expected).all()

"""OpenVINO's provider, by name: its variant, its settings, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle.manifest import Variant
from emotion2vec_edge.engine.errors import OptionError, ProviderError
from emotion2vec_edge.engine.recognizer import Recognizer
from emotion2vec_edge.engine.runtime.providers import CUDA, OPENVINO
from emotion2vec_edge.engine.runtime.providers.openvino import PaddedModel, padded_frames

NAME = OPENVINO.ort_name


def settings_of(created):
    return [json.loads(session.own["load_config"]) for session in created]


def test_float32_between_the_eight_bits_and_the_threads_of_the_engine(fake_ort):
    created = fake_ort([NAME, "CPUExecutionProvider"])
    Recognizer.load(provider="openvino", threads=3)
    assert [session.names for session in created] == [[NAME, "CPUExecutionProvider"]] * 2
    expected = {"CPU": {"INFERENCE_NUM_THREADS": "3", "INFERENCE_PRECISION_HINT": "f32"}}
    assert settings_of(created) == [expected] * 2


def test_settings_of_the_user_come_first(fake_ort):
    created = fake_ort([NAME])
    given = {"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}, "GPU": {"X": "1"}}
    options = {"load_config": json.dumps(given), "device_type": "CPU"}
    Recognizer.load(provider="openvino", threads=2, provider_options=options)
    settings = settings_of(created)[0]
    assert settings["CPU"] == {"INFERENCE_NUM_THREADS": "2", "INFERENCE_PRECISION_HINT": "bf16"}
    assert settings["GPU"] == {"X": "1"}
    assert created[0].own["device_type"] == "CPU"


@pytest.mark.parametrize("text", ["settings.json", "", "[]", '{"CPU": 1}', "{"])
def test_settings_that_are_no_json(fake_ort, text):
    """Given a path, the provider takes none of them and says nothing."""
    fake_ort([NAME])
    with pytest.raises(OptionError, match="give JSON itself and not its path"):
        Recognizer.load(provider="openvino", provider_options={"load_config": text})


def test_static_int8_runs_on_openvino_and_not_on_cuda():
    bundle = open_bundle("emotion2vec_small")
    OPENVINO.require_precision("int8-static", bundle)
    with pytest.raises(ProviderError, match=r"cuda: int8-static is for .*; take fp16 or fp32"):
        CUDA.require_precision("int8-static", bundle)


def test_static_int8_for_tensorrt_is_taken_by_name_alone():
    variant = Variant((), ("tensorrt",), {"target": "tensorrt"})
    assert not OPENVINO.suits(variant)
    assert OPENVINO.suits(dataclasses.replace(variant, recipe={"target": "openvino"}))


def test_lengths_are_padded_to_few_shapes():
    assert [padded_frames(count) for count in (1, 16, 17, 319, 320, 321, 640, 1499)] == [
        16, 16, 32, 320, 320, 352, 640, 1536,
    ]  # fmt: skip
    shapes = {padded_frames(count) for count in range(1, 1500)}
    assert len(shapes) < 45


@pytest.fixture
def padded(recognizer):
    """The embedded model on the processor, with inputs as OpenVINO gets them."""
    plain = recognizer.encoder
    shapes = []

    class Spy:
        def __init__(self, session):
            self.session = session

        def run(self, names, feeds):
            shapes.append(next(iter(feeds.values())).shape[1])
            return self.session.run(names, feeds)

    sessions = Spy(plain.frontend), Spy(plain.encoder)
    return PaddedModel(*sessions, plain.audio, plain.chunking, plain.head), shapes


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 16_399, 40_123])
def test_padding_changes_no_answer(padded, recognizer, example_samples, samples):
    model, shapes = padded
    waveform = example_samples[:samples]
    frames, logits = model.encode(waveform)
    expected_frames, expected_logits = recognizer.encoder.encode(waveform)
    np.testing.assert_allclose(frames, expected_frames, atol=2e-5)
    np.testing.assert_allclose(logits, expected_logits, atol=2e-5)
    *blocks, features = shapes
    assert all(model.audio.frame_count(block) % 10 == 0 for block in blocks)
    assert features == padded_frames(len(frames))


def test_a_warm_model_meets_no_new_shape(padded, example_samples):
    model, shapes = padded
    assert [seconds for seconds, _, _ in model.warm_up()] == [1, 2, 3, 4, 5, 6]
    warmed = set(shapes)
    shapes.clear()
    for samples in (400, 5_000, 16_001, 23_456, 50_000, 95_999):
        model.encode(np.resize(example_samples, samples))
    assert set(shapes) <= warmed


def test_the_provider_opens_it(fake_ort):
    fake_ort([NAME])
    assert isinstance(Recognizer.load(provider="openvino").encoder, PaddedModel)

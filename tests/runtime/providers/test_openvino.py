"""OpenVINO's provider, by name: its variant, its settings, and what it refuses."""

import json

import pytest

from emotion2vec_edge.engine.errors import OptionError, ProviderError
from emotion2vec_edge.engine.recognizer import Recognizer
from emotion2vec_edge.engine.runtime.providers import CUDA, OPENVINO, TENSORRT

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


@pytest.mark.parametrize("provider", [CUDA, TENSORRT])
def test_static_int8_runs_on_no_nvidia_provider(provider):
    with pytest.raises(ProviderError, match=f"{provider.name}: int8-static is for openvino"):
        provider.require_precision("int8-static")
    OPENVINO.require_precision("int8-static")

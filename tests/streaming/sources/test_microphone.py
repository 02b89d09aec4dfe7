"""A microphone, with a stand-in for sounddevice."""

import sys
import types

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import AudioError, MissingExtraError, OptionError
from emotion2vec_edge.engine.streaming.sources.capture import CaptureBuffer
from emotion2vec_edge.engine.streaming.sources.microphone import start_microphone


@pytest.fixture
def sounddevice(monkeypatch):
    module = types.ModuleType("sounddevice")

    class PortAudioError(Exception):
        pass

    class InputStream:
        def __init__(self, **settings):
            if settings["samplerate"] == 1:
                raise PortAudioError("Invalid sample rate")
            self.settings = settings

        def start(self):
            block = np.full((1_600, self.settings["channels"]), 0.25, np.float32)
            self.settings["callback"](block, 1_600, None, None)
            block[:] = 9.0  # PortAudio uses its buffer again
            self.settings["finished_callback"]()

    def query_devices(device, kind):
        if device == "gone":
            raise ValueError("No input device matching 'gone'")
        return {"default_samplerate": 44_100.0}

    module.PortAudioError = PortAudioError
    module.InputStream = InputStream
    module.query_devices = query_devices
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_a_microphone(sounddevice):
    arrivals = start_microphone(None, None, 2, CaptureBuffer)
    assert arrivals.rate == 44_100
    (piece,) = arrivals.take(1.0)
    assert piece.samples.shape == (1_600, 2)
    assert (piece.samples == 0.25).all()
    assert arrivals.take(1.0) is None
    assert start_microphone("3", 16_000, 1, CaptureBuffer).source.settings["device"] == 3


def test_no_microphone(sounddevice, monkeypatch):
    with pytest.raises(OptionError, match="No input device matching"):
        start_microphone("gone", None, 1, CaptureBuffer)
    with pytest.raises(AudioError, match="at 1 Hz with 1 channels: Invalid sample rate"):
        start_microphone(None, 1, 1, CaptureBuffer)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"\[mic\]"):
        start_microphone(None, None, 1, CaptureBuffer)

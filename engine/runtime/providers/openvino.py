"""Intel's OpenVINO: static INT8 and fp32 on Intel's and AMD's processors; on GPUs if told so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...audio.types import Samples
from ...bundle.manifest import Variant
from ...errors import OptionError
from ..model import Frames, Logits, Model, SelectedVariant, noise
from ..sequential import SequentialModel
from ..session import Graph, Session, SessionConfig, session_options
from .base import Provider

CONFIG = "load_config"
"""Option with OpenVINO's own settings for each device, as JSON."""

LOCAL_STEP = 10
"""Frames that the front-end's input is padded to a multiple of."""
LEAST_STEP, FINE = 16, 320
"""The same of the encoder's, for less than that many frames; each doubling doubles the step."""
WARMED_SECONDS = 6
"""Longest audio whose shapes are run ahead."""


def padded_frames(count: int) -> int:
    """Number of frames that a clip is padded to for the encoder: a tenth more, or under 16."""
    step = LEAST_STEP << (count // FINE).bit_length()
    return -(-count // step) * step


@dataclass(frozen=True)
class PaddedModel(SequentialModel):
    """A model for a provider that is slow at the first run of each shape: there are few of them.

    OpenVINO takes as long for a shape that is new to the process as for several runs of another.
    """

    def local(self, waveform: Samples) -> NDArray[np.float32]:
        """As :meth:`SequentialModel.local`; the frames of the padding are dropped."""
        count = self.audio.frame_count(len(waveform))
        padded = _padded(waveform, self.audio.sample_count(-(-count // LOCAL_STEP) * LOCAL_STEP))
        return super().local(padded)[:count]

    def run(self, features: NDArray[np.float32], count: int | None = None) -> tuple[Frames, Logits]:
        """As :meth:`SequentialModel.run`; the encoder masks the padding."""
        count = len(features) if count is None else count
        return super().run(_padded(features, padded_frames(len(features))), count)

    def lengths(self) -> tuple[int, ...]:
        """As :meth:`Model.lengths`."""
        return tuple(range(1, WARMED_SECONDS + 1))

    def warm_up(self) -> list[tuple[int, float, float]]:
        """As :meth:`Model.warm_up`; then run every shape up to the longest of them."""
        times = super().warm_up()
        shapes = range(LOCAL_STEP, self.audio.frames(self.chunking.block) + 1, LOCAL_STEP)
        for samples in map(self.audio.sample_count, shapes):
            self.local(noise(self.audio, samples / self.audio.sample_rate))
        for count in range(LEAST_STEP, self.audio.frames(WARMED_SECONDS), LEAST_STEP):
            samples = self.audio.sample_count(count)
            self.encode(noise(self.audio, samples / self.audio.sample_rate))
        return times


def _padded(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Values with zeros after them, or without their last ones: [length, ...]."""
    padded = np.zeros((length, *values.shape[1:]), np.float32)
    padded[: len(values)] = values[:length]
    return padded


class OpenVinoProvider(Provider):
    """Intel's OpenVINO."""

    name = "openvino"
    ort_name = "OpenVINOExecutionProvider"
    precisions = ("int8-static", "fp32")
    install = (
        "pip uninstall onnxruntime; pip install onnxruntime-openvino, and emotion2vec-edge without "
        "an extra"
    )

    def suits(self, variant: Variant) -> bool:
        """Static INT8 that was made for TensorRT was not measured here."""
        return variant.recipe.get("target") != "tensorrt"

    def check_options(self, config: SessionConfig) -> None:
        """Refuse settings that are no JSON: given a path, the provider would ignore it silently."""
        device_settings(config)

    def open_model(self, selected: SelectedVariant, config: SessionConfig) -> Model:
        """As :meth:`.Provider.open_model`."""
        sessions = self.open_sessions(selected.graphs, config)
        return PaddedModel(*sessions, selected.audio, selected.chunking, selected.head)

    def open_session(self, graph: Graph, config: SessionConfig) -> Session:
        """As :meth:`.Provider.open_session`.

        On processors with bfloat16 OpenVINO computes in it unless told otherwise, which changes
        answers that the gate has not heard.
        """
        settings = device_settings(config)
        settings["CPU"] = {
            "INFERENCE_NUM_THREADS": str(config.threads),
            "INFERENCE_PRECISION_HINT": "f32",
            **settings.get("CPU", {}),
        }
        own = {**config.options, CONFIG: json.dumps(settings)}
        return self.create_session(graph, session_options(config), own)


def device_settings(config: SessionConfig) -> dict[str, Any]:
    """OpenVINO's settings for each device that the user gave.

    Raises:
        OptionError: they are not a JSON object of objects.
    """
    text = config.options.get(CONFIG, "{}")
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict) or not all(isinstance(v, dict) for v in settings.values()):
        raise OptionError(
            f"{CONFIG} is {text[:100]!r}; give JSON itself and not its path, such as "
            '{"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}}'
        )
    return settings

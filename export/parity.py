"""The parity check: ONNX Runtime against the torch model, before a bundle is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.errors import ParityError
from emotion2vec_edge.engine.progress import Progress
from emotion2vec_edge.engine.results.pooling import clip_scores
from emotion2vec_edge.engine.runtime.hardware import usable_threads
from emotion2vec_edge.engine.runtime.providers import CPU
from emotion2vec_edge.engine.runtime.session import SessionConfig

from .model.emotion2vec import Emotion2vec
from .model.padding import frame_counts, normalized

FRAMES_LIMIT = 1e-4
"""Largest difference of an element of a frame's embedding."""
PROBABILITIES_LIMIT = 1e-5
"""Largest difference of a probability of the whole clip."""

ODD_LENGTHS = (400, 401, 719, 720, round(1.234 * SAMPLE_RATE), 37 * SAMPLE_RATE)
"""Samples of the clips that are cut: around one and two frames, no round number, very long."""

Outputs: TypeAlias = "list[NDArray[np.float32]]"
"""frames [frames, dim] and, with a head, logits [frames, labels], of one clip."""

RunBatch: TypeAlias = Callable[[Sequence[Samples]], "list[Outputs]"]


@dataclass(frozen=True)
class Parity:
    """The largest differences between a graph and the torch model over all clips."""

    frames: float
    """Difference of an element of a frame's embedding."""
    probabilities: float
    """Difference of a probability of a whole clip; 0 without a head."""
    cases: tuple[str, ...]
    """Clips that were compared, in words."""

    def passes(self) -> bool:
        """True if both are within their limits; NaN is within none."""
        return self.frames <= FRAMES_LIMIT and self.probabilities <= PROBABILITIES_LIMIT

    def to_dict(self) -> dict[str, Any]:
        """The evidence for ``bundle.json``."""
        return {
            "against": "torch, float32, each clip alone",
            "max_abs_difference": {"frames": self.frames, "probabilities": self.probabilities},
            "limits": {"frames": FRAMES_LIMIT, "probabilities": PROBABILITIES_LIMIT},
            "cases": list(self.cases),
        }


def check_bundle(model: Emotion2vec, folder: Path, progress: Progress) -> Parity:
    """Compare ``frontend.onnx`` and ``encoder.onnx`` with the model.

    Raises:
        ParityError: a difference is above its limit.
    """
    config = SessionConfig(usable_threads())
    frontend, encoder = CPU.open_sessions(
        {name: folder / f"{name}.onnx" for name in ("frontend", "encoder")}, config
    )

    def run(clips: Sequence[Samples]) -> list[Outputs]:
        waveform, lengths = _padded([_normalized(model, clip) for clip in clips])
        features = frontend.run(None, {"waveform": waveform})[0]
        frames = _frames(lengths, model)
        outputs = encoder.run(None, {"features": features, "lengths": frames})
        return _unpadded(outputs, frames)

    return _checked(model, run, progress)


def check_single_file(model: Emotion2vec, path: Path, progress: Progress) -> Parity:
    """Compare the merged graph with the model; raises as :func:`check_bundle`."""
    session = CPU.open_session(path, SessionConfig(usable_threads()))
    names = ["frames"] if model.encoder.head is None else ["frames", "logits"]

    def run(clips: Sequence[Samples]) -> list[Outputs]:
        waveform, lengths = _padded(clips)
        outputs = session.run(names, {"waveform": waveform, "lengths": lengths})
        return _unpadded(outputs, _frames(lengths, model))

    return _checked(model, run, progress)


def _checked(model: Emotion2vec, run: RunBatch, progress: Progress) -> Parity:
    frames, probabilities = [0.0], [0.0]
    cases = []
    for name, clips in _cases():
        progress(f"parity: {name}")
        for clip, outputs in zip(clips, run(clips), strict=True):
            expected = _torch_alone(model, clip)
            frames.append(_difference(outputs[0], expected[0]))
            if len(expected) > 1:
                ours, theirs = (clip_scores(both[1]) for both in (outputs, expected))
                probabilities.append(_difference(ours, theirs))
        cases.append(name)
    parity = Parity(float(np.max(frames)), float(np.max(probabilities)), tuple(cases))
    if not parity.passes():
        raise ParityError(
            f"the exported graph differs from the torch model: frames by {parity.frames:.2e} "
            f"(limit {FRAMES_LIMIT:.0e}), probabilities by {parity.probabilities:.2e} "
            f"(limit {PROBABILITIES_LIMIT:.0e}); nothing was written"
        )
    return parity


def _cases() -> Iterator[tuple[str, list[Samples]]]:
    """Names and clips of each comparison; several clips are one padded batch."""
    speech = [load_audio(path).samples for path in example_recordings()]
    for path, clip in zip(example_recordings(), speech, strict=True):
        yield f"speech {path.stem}, {len(clip) / SAMPLE_RATE:.2f} s", [clip]
    joined = np.concatenate(speech)
    long = np.tile(joined, 1 + max(ODD_LENGTHS) // len(joined))
    for length in ODD_LENGTHS:
        yield f"{length} samples", [long[8_000 : 8_000 + length]]
    yield "a padded batch of all speech clips and 401 samples", [*speech, joined[8_000:8_401]]


def _torch_alone(model: Emotion2vec, clip: Samples) -> Outputs:
    """The torch model's outputs for one clip."""
    with torch.inference_mode():
        features = model.frontend(torch.from_numpy(_normalized(model, clip))[None])
        outputs = model.encoder(features, torch.tensor([features.shape[1]]))
    return [output[0].numpy() for output in outputs]


def _normalized(model: Emotion2vec, clip: Samples) -> Samples:
    """The input of the front-end, computed by torch."""
    waveform = torch.from_numpy(clip.copy())
    return (normalized(waveform) if model.config.normalize else waveform).numpy()


def _padded(clips: Sequence[Samples]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    lengths = np.array([len(clip) for clip in clips])
    waveform = np.zeros((len(clips), lengths.max()), np.float32)
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = clip
    return waveform, lengths


def _frames(lengths: NDArray[np.int64], model: Emotion2vec) -> NDArray[np.int64]:
    frames: NDArray[np.int64] = frame_counts(torch.from_numpy(lengths), model.config).numpy()
    return frames


def _unpadded(outputs: Sequence[Any], frames: NDArray[np.int64]) -> list[Outputs]:
    return [
        [output[row, :length] for output in outputs] for row, length in enumerate(frames.tolist())
    ]


def _difference(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    if ours.shape != theirs.shape:
        raise ParityError(f"the exported graph gives {ours.shape}, the torch model {theirs.shape}")
    return float(np.abs(ours - theirs).max())

"""The encoder on a device with memory of its own: batches in length buckets, and few copies.

A GPU is fast at few shapes that come again, so clips are padded to buckets of whole seconds. Each
second of them is one row of the front-end, whose features stay on the device and are read there by
the encoder as rows of clips. What is padded is masked: the results are those of each clip alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.types import Samples
from ..bundle.manifest import AudioContract
from .chunking import BLOCK_SECONDS
from .model import Model, reported
from .session import import_onnxruntime

BUCKETS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 30)
"""Seconds that clips are padded to; longer ones to whole tens."""

BATCH_SECONDS = 120
"""Audio in one batch at most, padding included: attention's memory grows with the length."""

BATCH_SIZE = 16
"""Recordings that are encoded together by default, at most."""

KEPT_SHAPES = 8
"""Shapes whose buffers stay allocated."""


def bucket(seconds: int) -> int:
    """The length that a clip is padded to, in seconds."""
    return next((one for one in BUCKETS if seconds <= one), -(-seconds // 10) * 10)


def block_samples(audio: AudioContract) -> int:
    """What the front-end hears of one second, the ends of its last frame included."""
    return (audio.frames(BLOCK_SECONDS) - 1) * audio.hop + audio.receptive_field


@dataclass(frozen=True)
class Device:
    """Where the buffers are, as ONNX Runtime names it."""

    name: str = "cpu"
    number: int = 0
    graphs: bool = False
    """Whether the provider records a graph of each shape."""


@dataclass(frozen=True)
class _Buffers:
    """Memory on the device for one shape, and both sessions bound to it."""

    waveform: Any
    lengths: Any
    features: Any
    outputs: tuple[Any, ...]
    """frames and, with a head, logits."""
    bindings: tuple[Any, Any]
    options: Any
    """Of a run."""


@dataclass(frozen=True)
class _Stretch:
    """What is encoded at once of one clip."""

    clip: int
    samples: Samples
    keep: slice
    """The frames of it that count."""


@dataclass(frozen=True)
class BatchedModel(Model):
    """Both graphs, on a device."""

    device: Device = field(default_factory=Device)
    longest: float = np.inf
    """Seconds that the sessions take at once; what is longer, :attr:`beyond` does."""
    most: int | None = None
    """Clips that the sessions take at once; None for as many as fit :data:`BATCH_SECONDS`."""
    beyond: BatchedModel | None = None
    _kept: OrderedDict[tuple[int, int], _Buffers] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )
    _lock: Any = field(default_factory=threading.RLock, init=False, repr=False, compare=False)
    """Buffers are shared by the threads that use the recognizer."""

    def pieces_of(
        self, clips: Sequence[Iterable[Samples]]
    ) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32] | None]]:
        """As :meth:`Model.pieces_of`, with what is encoded taken together in batches."""
        waiting: list[_Stretch] = []
        for number, clip in enumerate(clips):
            for samples, keep in self._cut(clip):
                waiting.append(_Stretch(number, samples, keep))
                if len(waiting) > self._rows(waiting):
                    yield from self._flush(waiting[:-1])
                    waiting = waiting[-1:]
        yield from self._flush(waiting)

    def run_batch(
        self, waveforms: Sequence[Samples]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        """Run the model once over several stretches.

        Args:
            waveforms: float32 [samples] each, normalised, at least one receptive field.

        Returns:
            frames float32 [frames, dim] and logits float32 [frames, labels] (None if no head) of
            each.
        """
        lengths = [self._frames(waveform) for waveform in waveforms]
        step = self._step
        seconds = bucket(-(-max(lengths) // step))
        rows = 1 << (len(waveforms) - 1).bit_length()  # few shapes that come again
        blocks = np.zeros((rows, seconds, block_samples(self.audio)), np.float32)
        for row, waveform in enumerate(waveforms):
            padded = np.zeros(seconds * step * self.audio.hop + blocks.shape[2], np.float32)
            padded[: len(waveform)] = waveform
            windows = np.lib.stride_tricks.sliding_window_view(padded, blocks.shape[2])
            blocks[row] = windows[:: step * self.audio.hop][:seconds]
        # Rows that nobody asked for have one frame, so that there is something to attend to.
        frames_of = np.array([*lengths, *[1] * (rows - len(lengths))], np.int64)
        with self._lock, reported(blocks.shape):
            buffers = self._buffers(rows, seconds)
            buffers.waveform.update_inplace(blocks.reshape(-1, blocks.shape[2]))
            buffers.lengths.update_inplace(frames_of)
            for session, binding in zip(
                (self.frontend, self.encoder), buffers.bindings, strict=True
            ):
                session.run_with_iobinding(binding, buffers.options)
            outputs = [output.numpy() for output in buffers.outputs]
            # In the computer's own memory they are what the next batch is written to.
            kept = [
                [output[row, :length].copy() for output in outputs]
                for row, length in enumerate(lengths)
            ]
        return [
            (frames, self.head(frames, logits[0] if logits else None)) for frames, *logits in kept
        ]

    def lengths(self) -> tuple[int, ...]:
        """The buckets up to the longest chunk."""
        return tuple(seconds for seconds in BUCKETS if seconds <= self.chunking.seconds)

    @property
    def batch_size(self) -> int:
        """As :attr:`Model.batch_size`."""
        return BATCH_SIZE

    def remark(self, seconds: float) -> str | None:
        """That sessions for shorter audio left it to others."""
        if self.beyond is None or min(seconds, self.chunking.seconds) <= self.longest:
            return None
        return (
            f"what is longer than {self.longest:g} s at once is outside of what TensorRT's engines "
            "were built for, and was encoded on CUDA (--chunk-seconds)"
        )

    def _cut(self, blocks: Iterable[Samples]) -> Iterator[tuple[Samples, slice]]:
        """Cut a clip into what is encoded at once, as :func:`~.chunks` cuts features."""
        hop = self.audio.hop
        for heard, keep in self._chunks(self._heard(blocks)):
            yield np.concatenate([heard[:, :hop].ravel(), heard[-1, hop:]]), keep

    def _heard(self, blocks: Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
        """What each frame hears: float32 [frames, receptive field]."""
        hop, least = self.audio.hop, self.audio.receptive_field
        left = np.zeros(0, np.float32)
        for block in blocks:
            left = np.concatenate([left, block])
            count = (len(left) - least) // hop + 1
            if count > 0:
                yield np.lib.stride_tricks.sliding_window_view(left, least)[::hop][:count]
                left = left[count * hop :]

    def _rows(self, waiting: list[_Stretch]) -> int:
        """How many stretches as long as the longest of these go together."""
        fitting = max(1, BATCH_SECONDS // bucket(self._seconds(waiting)))
        return min(self.most or fitting, 1 << (fitting.bit_length() - 1))

    def _seconds(self, waiting: list[_Stretch]) -> int:
        """Length of the longest."""
        return -(-max(self._frames(one.samples) for one in waiting) // self._step)

    def _frames(self, samples: Samples) -> int:
        return (len(samples) - self.audio.receptive_field) // self.audio.hop + 1

    @property
    def _step(self) -> int:
        """Frames of one row of the front-end."""
        return self.audio.frames(BLOCK_SECONDS)

    def _flush(
        self, waiting: list[_Stretch]
    ) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32] | None]]:
        if not waiting:
            return
        encoder = self
        if self.beyond is not None and self._seconds(waiting) > self.longest:
            encoder = self.beyond
        results = encoder.run_batch([one.samples for one in waiting])
        for one, (frames, logits) in zip(waiting, results, strict=True):
            yield one.clip, frames[one.keep], None if logits is None else logits[one.keep]

    def _buffers(self, rows: int, seconds: int) -> _Buffers:
        """Those of a shape, made where they are not there."""
        shape = (rows, seconds)
        if shape not in self._kept:
            # A recorded graph goes on writing where it wrote when it was recorded.
            if len(self._kept) == KEPT_SHAPES and not self.device.graphs:
                self._kept.popitem(last=False)
            self._kept[shape] = self._allocate(rows, seconds)
        self._kept.move_to_end(shape)
        return self._kept[shape]

    def _allocate(self, rows: int, seconds: int) -> _Buffers:
        ort = import_onnxruntime()
        name, number = self.device.name, self.device.number

        def empty(shape: tuple[int, ...], kind: type[np.generic] = np.float32) -> Any:
            return ort.OrtValue.ortvalue_from_shape_and_type(shape, kind, name, number)

        frames = seconds * self._step
        dim = self.encoder.get_inputs()[0].shape[-1]
        waveform = empty((rows * seconds, block_samples(self.audio)))
        features = empty((rows * seconds, self._step, dim))
        lengths = empty((rows,), np.int64)
        outputs = tuple(
            empty((rows, frames, output.shape[-1])) for output in self.encoder.get_outputs()
        )
        first, second = self.frontend.io_binding(), self.encoder.io_binding()
        first.bind_ortvalue_input("waveform", waveform)
        first.bind_ortvalue_output("features", features)
        # The same memory in another shape: rows of seconds are rows of clips.
        second.bind_input(
            "features", name, number, np.float32, (rows, frames, dim), features.data_ptr()
        )
        second.bind_ortvalue_input("lengths", lengths)
        for output, value in zip(self.encoder.get_outputs(), outputs, strict=True):
            second.bind_ortvalue_output(output.name, value)
        options = ort.RunOptions()
        if self.device.graphs:
            options.add_run_config_entry("gpu_graph_id", str(rows * 10_000 + seconds))
        return _Buffers(waveform, lengths, features, outputs, (first, second), options)

"""A model on a device with memory of its own: batches in length buckets, and few copies.

A GPU is fast at few shapes that come again, so clips are padded to buckets of whole seconds. Each
second of them is one row of the front-end, whose features stay on the device and are read there by
the encoder as rows of clips. What is padded is masked: the results are those of each clip alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.types import Samples
from ..bundle.head import Head
from ..bundle.manifest import AudioContract
from .chunking import (
    BATCH_SECONDS,
    BUCKETS,
    Chunking,
    bucket,
    chunks,
    row_frames,
    row_samples,
)
from .model import Frames, Logits, Model, with_head
from .session import Session, import_onnxruntime, run_errors

BATCH_SIZE = 16
"""Recordings that are encoded together by default, at most."""

KEPT_SHAPES = 8
"""Shapes whose buffers stay allocated."""


@dataclass(frozen=True)
class DeviceMemory:
    """Memory that the buffers are in, as ONNX Runtime names it."""

    name: str = "cpu"
    number: int = 0
    """Number of the device."""


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
    """``onnxruntime.RunOptions``."""


@dataclass(frozen=True)
class _Stretch:
    """A part of a clip that is encoded at once."""

    clip: int
    samples: Samples
    frames: int
    keep: slice
    """The frames that are kept; the others are context."""


@dataclass(frozen=True)
class BatchedModel(Model):
    """Both graphs of a variant on a device."""

    frontend: Session
    """waveform [batch, samples] → features [batch, frames, dim]."""
    encoder: Session
    """features, lengths → frames and, with a head, logits."""
    audio: AudioContract
    chunking: Chunking = field(default_factory=Chunking)
    head: Head = field(default_factory=Head)
    memory: DeviceMemory = field(default_factory=DeviceMemory)
    records: bool = False
    """True if the provider records a graph of each shape, which writes to the same buffers ever
    after."""
    most: int | None = None
    """Clips in one batch at most; None for as many as fit :data:`BATCH_SECONDS`."""
    batch_size: int = field(default=BATCH_SIZE, init=False)
    _kept: OrderedDict[tuple[int, int], _Buffers] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )
    _lock: Any = field(default_factory=threading.RLock, init=False, repr=False, compare=False)
    """Buffers are shared by the threads that use the model."""

    def pieces_of(self, clips: Sequence[Iterable[Samples]]) -> Iterator[tuple[int, Frames, Logits]]:
        """As :meth:`Model.pieces_of`, in batches of clips and chunks."""
        waiting: list[_Stretch] = []
        for stretch in self._stretches(clips):
            waiting.append(stretch)
            if len(waiting) > self._capacity(waiting):
                yield from self._encoded(waiting[:-1])
                waiting = waiting[-1:]
        if waiting:
            yield from self._encoded(waiting)

    def run_batch(self, waveforms: Sequence[Samples]) -> list[tuple[Frames, Logits]]:
        """Run the model once over several stretches.

        Args:
            waveforms: float32 [samples] each, normalised, at least one receptive field.

        Returns:
            frames and logits of each.
        """
        lengths = [self.audio.frame_count(len(waveform)) for waveform in waveforms]
        seconds = bucket(-(-max(lengths) // row_frames(self.audio)))
        rows = 1 << (len(waveforms) - 1).bit_length()  # few shapes that come again
        blocks = self._padded(waveforms, rows, seconds)
        # Padding rows get one frame, so that attention has a valid key.
        frames_of = np.array([*lengths, *[1] * (rows - len(lengths))], np.int64)
        with self._lock, run_errors(blocks.shape):
            buffers = self._buffers(rows, seconds)
            buffers.waveform.update_inplace(blocks.reshape(-1, blocks.shape[2]))
            buffers.lengths.update_inplace(frames_of)
            for session, binding in zip(
                (self.frontend, self.encoder), buffers.bindings, strict=True
            ):
                session.run_with_iobinding(binding, buffers.options)
            outputs = [output.numpy() for output in buffers.outputs]
            # In the computer's own memory these are the buffers that the next batch writes to.
            kept = [
                [output[row, :length].copy() for output in outputs]
                for row, length in enumerate(lengths)
            ]
        return [
            with_head(self.head, frames, logits[0] if logits else None) for frames, *logits in kept
        ]

    def end_profiling(self) -> list[Path]:
        """As :meth:`Model.end_profiling`."""
        return [Path(session.end_profiling()) for session in (self.frontend, self.encoder)]

    def lengths(self) -> tuple[int, ...]:
        """The buckets up to the longest chunk."""
        return tuple(seconds for seconds in BUCKETS if seconds <= self.chunking.seconds)

    def _stretches(self, clips: Sequence[Iterable[Samples]]) -> Iterator[_Stretch]:
        """Cut clips into chunks, at the same frames as :class:`~.sequential.SequentialModel`."""
        hop = self.audio.hop
        longest = self.audio.frames(self.chunking.seconds)
        context = self.audio.frames(self.chunking.context)
        for number, clip in enumerate(clips):
            for fields, keep in chunks(self._fields(clip), longest, context):
                samples = np.concatenate([fields[:, :hop].ravel(), fields[-1, hop:]])
                yield _Stretch(number, samples, len(fields), keep)

    def _fields(self, blocks: Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
        """Receptive field of each frame: float32 [frames, receptive field]."""
        hop, width = self.audio.hop, self.audio.receptive_field
        left = np.zeros(0, np.float32)
        for block in blocks:
            left = np.concatenate([left, block])
            if count := self.audio.frame_count(len(left)):
                yield np.lib.stride_tricks.sliding_window_view(left, width)[::hop][:count]
                left = left[count * hop :]

    def _capacity(self, waiting: list[_Stretch]) -> int:
        """Number of stretches as long as the longest of these that go into one batch."""
        longest = max(stretch.frames for stretch in waiting)
        fitting = max(1, BATCH_SECONDS // bucket(-(-longest // row_frames(self.audio))))
        return min(self.most or fitting, 1 << (fitting.bit_length() - 1))

    def _encoded(self, stretches: list[_Stretch]) -> Iterator[tuple[int, Frames, Logits]]:
        results = self.run_batch([stretch.samples for stretch in stretches])
        for stretch, (frames, logits) in zip(stretches, results, strict=True):
            keep = stretch.keep
            yield stretch.clip, frames[keep], None if logits is None else logits[keep]

    def _padded(self, waveforms: Sequence[Samples], rows: int, seconds: int) -> NDArray[np.float32]:
        """Waveforms as rows of the front-end: float32 [rows, seconds, samples of a row]."""
        step = row_frames(self.audio) * self.audio.hop
        width = row_samples(self.audio)
        blocks = np.zeros((rows, seconds, width), np.float32)
        for row, waveform in enumerate(waveforms):
            padded = np.zeros(seconds * step + width, np.float32)
            padded[: len(waveform)] = waveform
            windows = np.lib.stride_tricks.sliding_window_view(padded, width)
            blocks[row] = windows[::step][:seconds]
        return blocks

    def _buffers(self, rows: int, seconds: int) -> _Buffers:
        """The buffers of a shape, allocated if it is a new one."""
        shape = (rows, seconds)
        if shape not in self._kept:
            if len(self._kept) == KEPT_SHAPES and not self.records:
                self._kept.popitem(last=False)
            self._kept[shape] = self._allocate(rows, seconds)
        self._kept.move_to_end(shape)
        return self._kept[shape]

    def _allocate(self, rows: int, seconds: int) -> _Buffers:
        ort = import_onnxruntime()
        name, number = self.memory.name, self.memory.number

        def empty(shape: tuple[int, ...], kind: type[np.generic] = np.float32) -> Any:
            return ort.OrtValue.ortvalue_from_shape_and_type(shape, kind, name, number)

        step = row_frames(self.audio)
        dim = self.encoder.get_inputs()[0].shape[-1]
        waveform = empty((rows * seconds, row_samples(self.audio)))
        features = empty((rows * seconds, step, dim))
        lengths = empty((rows,), np.int64)
        outputs = tuple(
            empty((rows, seconds * step, output.shape[-1])) for output in self.encoder.get_outputs()
        )
        first, second = self.frontend.io_binding(), self.encoder.io_binding()
        first.bind_ortvalue_input("waveform", waveform)
        first.bind_ortvalue_output("features", features)
        # The same memory in another shape: rows of seconds are rows of clips.
        second.bind_input(
            "features", name, number, np.float32, (rows, seconds * step, dim), features.data_ptr()
        )
        second.bind_ortvalue_input("lengths", lengths)
        for output, value in zip(self.encoder.get_outputs(), outputs, strict=True):
            second.bind_ortvalue_output(output.name, value)
        options = ort.RunOptions()
        if self.records:
            options.add_run_config_entry("gpu_graph_id", str(rows * 10_000 + seconds))
        return _Buffers(waveform, lengths, features, outputs, (first, second), options)

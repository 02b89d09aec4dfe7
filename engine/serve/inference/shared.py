"""One request's view of the model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...audio.types import Samples
from ...bundle.head import Head, label_mask
from ...recognizer import Recognizer
from ...runtime.model import Frames, Logits, Model
from .thread import InferenceThread
from .work import Work


@dataclass(frozen=True, eq=False)
class SharedModel(Model):
    """One request's view of the model: its passes run in the inference thread."""

    inner: Model
    thread: InferenceThread
    work: Work
    head: Head
    """The model's head, and the labels that the request allows."""
    columns: Any = None
    """Logits that the request's labels have, bool [labels]; None for all."""

    @property
    def audio(self) -> Any:  # type: ignore[override]
        """The audio that the model takes."""
        return self.inner.audio

    @property
    def chunking(self) -> Any:  # type: ignore[override]
        """Division of long audio for the encoder."""
        return self.inner.chunking

    @property
    def batch_size(self) -> int:  # type: ignore[override]
        """Recordings that are encoded together by default, at most."""
        return self.inner.batch_size

    def pieces_of(self, clips: Sequence[Iterable[Samples]]) -> Iterator[tuple[int, Frames, Logits]]:
        """As :meth:`.Model.pieces_of`.

        Short clips go through a model that takes several together with those of other requests;
        between two pieces of long ones others may have the model.
        """
        for number, frames, logits in self._pieces(clips):
            if logits is None or self.columns is None:
                yield number, frames, logits
            else:
                yield number, frames, logits[:, self.columns]

    def _pieces(self, clips: Sequence[Iterable[Samples]]) -> Iterator[tuple[int, Frames, Logits]]:
        longest = self.chunking.seconds * self.audio.sample_rate
        opened = [_opened(clip, longest) for clip in clips]
        short = [clip for clip in opened if isinstance(clip, list)]
        if len(short) == len(opened):
            yield from self.thread.run_together(self.work, self.inner, short)
            return
        step = partial(next, self.inner.pieces_of(opened), None)
        while (piece := self.thread.run(self.work, step)) is not None:
            yield piece

    def end_profiling(self) -> list[Path]:
        """As :meth:`.Model.end_profiling`."""
        return self.inner.end_profiling()

    def lengths(self) -> tuple[int, ...]:
        """As :meth:`.Model.lengths`."""
        return self.inner.lengths()

    def remark(self, seconds: float) -> str | None:
        """As :meth:`.Model.remark`."""
        return self.inner.remark(seconds)


def _opened(clip: Iterable[Samples], longest: float) -> list[Samples] | Iterator[Samples]:
    """All blocks of a clip of up to ``longest`` samples; of a longer one, an iterator."""
    blocks, held, count = iter(clip), [], 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count > longest:
            return itertools.chain(held, blocks)
    return held


def shared(
    recognizer: Recognizer,
    thread: InferenceThread,
    work: Work,
    *,
    labels: Sequence[str] | None = None,
    reject_below: float | None = None,
) -> Recognizer:
    """A recognizer for one request, whose model runs in the inference thread.

    Args:
        recognizer: the one that was loaded.
        thread: runs its model.
        work: the request.
        labels: label ids that may be the answer; None takes those of the recognizer.
        reject_below: confidence under which the answer is ``unknown``; None takes the recognizer's.

    Raises:
        OptionError: a label that the recognizer does not have, or fewer than two.
        NoHeadError: labels, and the model has none.
    """
    inner = recognizer.encoder
    head = inner.head
    mask = label_mask(labels, recognizer.labels, recognizer.bundle.manifest.name)
    columns = None
    if mask is not None:
        columns = np.array(mask)
        allowed = [label for label, kept in zip(recognizer.labels, mask, strict=True) if kept]
        every = [label.id for label in recognizer.bundle.manifest.labels]
        head = replace(head, mask=tuple(label in allowed for label in every))
    model = SharedModel(inner, thread, work, head, columns)
    limit = recognizer.reject_below if reject_below is None else reject_below
    return replace(recognizer, encoder=model, reject_below=limit)

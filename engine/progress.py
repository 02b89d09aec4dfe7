"""Progress of long work: the one form in which every room tells it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives how far a long computation is, in the thread that computes."""

    def __call__(self, step: str, done: float = 0, total: float | None = None, /) -> object:
        """Take the state of a step.

        Args:
            step: name of the step; a new name begins a new step.
            done: amount that is done, in the step's own unit: items, or seconds of audio.
            total: amount that there is; None if it is not known.
        """


def no_progress(_step: str, _done: float = 0, _total: float | None = None, /) -> None:
    """Progress that nobody sees."""

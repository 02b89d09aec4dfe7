"""Work that waits for the model: its priority, its time and its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import IntEnum

from ...errors import TimeBudgetError, WithdrawnError
from ..settings import BUDGET_FACTOR, BUDGET_SECONDS


class Priority(IntEnum):
    """Seconds by which work may be passed by live windows that come after it.

    Whatever has waited so long is next, so that nothing waits for ever.
    """

    LIVE = 0
    REQUEST = 1
    JOB = 10


@dataclass(eq=False)
class Work:
    """One request on its way through the model. Threads share it."""

    priority: Priority
    budget: bool = True
    """True if it must end within its time budget."""
    arrived: float = field(default_factory=time.monotonic)
    """Time of :func:`time.monotonic`."""
    queue_seconds: float = 0.0
    """Seconds of waiting for a thread."""
    inference_seconds: float = 0.0
    """Seconds of the model."""
    audio_seconds: float = 0.0
    """Seconds of audio that were encoded."""
    earlier_seconds: float = 0.0
    """Seconds of the recordings before this one."""
    total_seconds: float | None = None
    """Seconds of audio that there are; None if it is not known."""
    withdrawn: bool = False
    """True if nobody waits for the result any more."""

    def withdraw(self) -> None:
        """End the work at its next step."""
        self.withdrawn = True

    def check(self) -> None:
        """End the work if nobody waits for it, or if its time is up.

        Raises:
            WithdrawnError: its client went away, or cancelled it.
            TimeBudgetError: it took longer than :data:`BUDGET_SECONDS`, and longer than
                :data:`BUDGET_FACTOR` times its audio.
        """
        if self.withdrawn:
            raise WithdrawnError("the request was withdrawn")
        known = max(self.audio_seconds, self.total_seconds or 0.0)
        budget = max(BUDGET_SECONDS, BUDGET_FACTOR * known)
        if self.budget and time.monotonic() - self.arrived > budget:
            raise TimeBudgetError(
                f"not done within {budget:.0f} s: this machine does not keep up; send shorter "
                "recordings, or make a job of it (POST /v1/jobs)"
            )

    def progress(self, _step: str, done: float = 0, total: float | None = None, /) -> None:
        """Take the seconds of this recording that are encoded; errors as :meth:`check`."""
        self.audio_seconds = self.earlier_seconds + done
        self.total_seconds = None if total is None else self.earlier_seconds + total
        self.check()

    def next_recording(self) -> None:
        """Begin another recording of the same request."""
        self.earlier_seconds = self.audio_seconds

"""Recordings decoded in threads, ahead of what uses them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .normalized import NormalizedRecording
from .types import AudioSource

AHEAD = 2
"""Sources to decode while the recording before them is used."""

LINGER_SECONDS = 0.01
"""Time that a group which is not full waits for more recordings."""

CLOSE_SECONDS = 1.0
"""Time that closing waits for recordings which are being decoded."""


@dataclass(eq=False)
class _Slot:
    """The place of one source in the order of the results."""

    result: NormalizedRecording | Exception | None = None
    """The recording, or the error of it; None until the source is decoded."""


class DecodeAhead:
    """Decodes sources in threads, and gives the recordings in the order of the sources.

    The sources are pulled in the threads too, one at a time and at most ``ahead`` before the
    recordings are taken. So they may be endless, and may wait for what the recordings lead to. The
    threads are daemons: neither a source that never comes nor a file that blocks keeps the process
    from ending. A context manager; the user closes the recordings that were taken.

    Args:
        sources: the recordings to decode.
        read: opens and decodes one source.
        threads: number of sources that are decoded at the same time.
        ahead: number of sources that are pulled and not yet taken, at most.
    """

    def __init__(
        self,
        sources: Iterable[AudioSource],
        read: Callable[[AudioSource], NormalizedRecording],
        *,
        threads: int,
        ahead: int,
    ) -> None:
        self._sources = iter(sources)
        self._read = read
        self._ahead = ahead
        self._pulling = threading.Lock()
        self._changed = threading.Condition()
        self._slots: deque[_Slot] = deque()
        self._ended = False
        self._error: Exception | None = None
        """Raised by the sources themselves."""
        self._closed = False
        for _ in range(threads):
            threading.Thread(target=self._work, name="decode-ahead", daemon=True).start()

    def take(self, most: int) -> list[NormalizedRecording | Exception]:
        """The next recordings, or the errors in their place; empty at the end of the sources.

        Waits for the first of them, and then only :data:`LINGER_SECONDS` for a full group: a
        source may come only after the results of those before it.

        Args:
            most: number of recordings to take, at most.

        Raises:
            Exception: whatever iterating over the sources raised, after all that came before.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready(1) or (self._ended and not self._slots))
            self._changed.wait_for(
                lambda: self._ready(most) or (self._ended and self._ready(len(self._slots))),
                LINGER_SECONDS,
            )
            taken: list[NormalizedRecording | Exception] = []
            while len(taken) < most and self._slots and self._slots[0].result is not None:
                taken.append(self._slots[0].result)
                self._slots.popleft()
            self._changed.notify_all()
        if not taken and self._error is not None:
            raise self._error
        return taken

    def close(self) -> None:
        """Close all recordings that were not taken.

        One that is still being decoded after :data:`CLOSE_SECONDS` is closed by its thread.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ready(len(self._slots)), CLOSE_SECONDS)
            for slot in self._slots:
                if isinstance(slot.result, NormalizedRecording):
                    slot.result.close()
            self._slots.clear()

    def __enter__(self) -> DecodeAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready(self, count: int) -> bool:
        """True if the first ``count`` sources are decoded."""
        first = [slot.result for slot in self._slots][:count]
        return len(first) == count and None not in first

    def _work(self) -> None:
        while (pulled := self._pull()) is not None:
            source, slot = pulled
            result: NormalizedRecording | Exception
            try:
                result = self._read(source)
            except Exception as error:  # noqa: BLE001 - raised where the result is used
                result = error
            with self._changed:
                slot.result = result
                abandoned = slot not in self._slots  # closed meanwhile
                if abandoned and isinstance(result, NormalizedRecording):
                    result.close()
                self._changed.notify_all()

    def _pull(self) -> tuple[AudioSource, _Slot] | None:
        """The next source and its place; None at the end."""
        with self._pulling:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._slots) < self._ahead)
                if self._closed or self._ended:
                    return None
            try:
                source = next(self._sources)
            except Exception as error:  # noqa: BLE001 - raised where the results are used
                with self._changed:
                    self._ended = True
                    self._error = None if isinstance(error, StopIteration) else error
                    self._changed.notify_all()
                return None
            slot = _Slot()
            with self._changed:
                if self._closed:
                    return None
                self._slots.append(slot)
            return source, slot

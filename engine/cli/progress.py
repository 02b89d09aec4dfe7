"""Progress on a terminal; in a pipe there is none."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from ..display import CLEAR_LINE

LONG_SECONDS = 60.0
"""A shorter recording is done before a bar could be read."""


class TerminalProgress:
    """A bar for each step whose total is known and a line for the others. A context manager.

    Args:
        detail: gives the text behind the bar, such as the speed.
    """

    def __init__(self, detail: Callable[[], str] | None = None) -> None:
        self._detail = detail
        self._bar: Any = None
        self._line = False
        """True while a line without a bar is shown."""
        self._step = ""
        self._done = 0

    @property
    def visible(self) -> bool:
        """True if stderr is a terminal."""
        return sys.stderr.isatty()

    def __call__(self, step: str, done: float = 0, total: float | None = None, /) -> None:
        """Show the state of a step; arguments as :class:`~..progress.Progress`."""
        if not self.visible:
            return
        if total is None:
            self.close()
            click.echo(f"{CLEAR_LINE}{step} …", err=True, nl=False)
            self._line = True
            return
        if self._bar is None or step != self._step:
            self.close()
            self._bar = self._open(step, round(total))
            self._step, self._done = step, 0
        self._bar.update(min(round(done), self._bar.length) - self._done, step)
        self._done = min(round(done), self._bar.length)

    def say(self, text: str) -> None:
        """Write a line that stays, above the bar if there is one."""
        click.echo(f"{CLEAR_LINE}{text}" if self.visible else text, err=True)

    def close(self) -> None:
        """End the bar or clear the line that is shown."""
        if self._line:
            click.echo(CLEAR_LINE, err=True, nl=False)
            self._line = False
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def _open(self, step: str, length: int) -> Any:
        detail = self._detail
        bar: Any = click.progressbar(
            length=length,
            label=step,
            show_eta=True,
            show_percent=True,
            show_pos=True,
            item_show_func=None if detail is None else lambda _: detail(),
            file=sys.stderr,
        )
        return bar.__enter__()

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RecordingProgress(TerminalProgress):
    """The seconds of one recording that are encoded, if it is long.

    Args:
        name: the recording, as it is shown.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __call__(self, step: str, done: float = 0, total: float | None = None, /) -> None:  # noqa: ARG002
        """Show the seconds that are done; of a pipe the total is not known."""
        if total is None:
            super().__call__(f"{self.name}: {done:.0f} s")
        elif total >= LONG_SECONDS:
            super().__call__(self.name, done, total)


@contextlib.contextmanager
def shown_seconds(work: str) -> Iterator[None]:
    """Name work that takes long and, on a terminal, count its seconds."""
    with TerminalProgress() as progress:
        if not progress.visible:
            progress.say(f"e2v: {work}")
            yield
            return
        done = threading.Event()
        started = time.monotonic()

        def tick() -> None:
            while not done.wait(1):
                progress(f"{work}: {time.monotonic() - started:.0f} s")

        clock = threading.Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield
        finally:
            done.set()
            clock.join()

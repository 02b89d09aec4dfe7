"""Progress on a terminal, and none in a pipe."""

from __future__ import annotations

import sys
from typing import Any

import click

LONG_SECONDS = 60.0
"""A recording under this is done before a bar could be read."""


class RecordingProgress:
    """A bar over the seconds of one long recording; what :class:`Recognizer` calls as progress."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._bar: Any = None
        self._done = 0

    def __call__(self, done: float, total: float | None) -> None:
        """Show that ``done`` of ``total`` seconds are encoded; of a pipe, no total is known."""
        if not sys.stderr.isatty() or (total is not None and total < LONG_SECONDS):
            return
        if total is None:
            click.echo(f"\r{self.name}: {done:.0f} s", err=True, nl=False)
            return
        if self._bar is None:
            self._bar = click.progressbar(
                length=round(total), label=self.name, file=sys.stderr, show_eta=True
            )
            self._bar.__enter__()
        self._bar.update(min(round(done), round(total)) - self._done)
        self._done = round(done)

    def __enter__(self) -> RecordingProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(*error)

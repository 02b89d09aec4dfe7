"""Output of ``e2v batch`` for people: its progress, each failure, and the summary."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ...display import duration, share_bar
from ...files import printable
from ..progress import TerminalProgress

if TYPE_CHECKING:
    from ...batch.outcome import Outcome
    from ...batch.output.summary import RunProgress, Summary


def follow(outcomes: Iterator[Outcome], progress: RunProgress) -> None:
    """Show a bar on a terminal, and each failure as it comes."""
    from ...batch.rows import FailureRow

    def speed() -> str:
        times = progress.audio_seconds / max(progress.seconds, 1e-9)
        files = f"{(progress.done + progress.failed) / max(progress.seconds, 1e-9):.1f} files/s"
        failures = f", {progress.failed} failed" if progress.failed else ""
        return f"{files}, {times:.0f} x real time{failures}"

    with TerminalProgress(speed) as bar:
        for number, outcome in enumerate(outcomes, 1):
            if progress.complete:
                bar("recordings", number, progress.total)
            else:
                bar(f"{number} recordings")
            if isinstance(outcome.row, FailureRow):
                bar.say(f"e2v: {outcome.row.message}")


def tell_summary(summary: Summary, output: str) -> None:
    """Print what was recognized, how fast, and how often each label was heard."""
    run = summary.this_run
    line = f"{printable(output)}: {summary.recognized} recognized, {summary.failures} failed"
    if summary.turns is not None:
        line += f"; {summary.turns} turn{'' if summary.turns == 1 else 's'}"
    if run.skipped:
        line += f" ({run.skipped} done before)"
    if run.audio_seconds:
        speed = run.audio_seconds / max(run.seconds, 1e-9)
        line += f"; {duration(run.audio_seconds)} of audio in {duration(run.seconds)}, "
        line += f"{speed:.0f} x real time"
    click.echo(line)
    for label, count in summary.labels.items():
        share = count / sum(summary.labels.values())
        click.echo(f"  {label:<10} {count:>7} {share:>6.1%}  {share_bar(share, 30, sys.stdout)}")
    if summary.mean_confidence is not None:
        click.echo(
            f"  mean confidence {summary.mean_confidence:.2f}; {summary.confident} from "
            f"{summary.confident_from:g} on"
        )

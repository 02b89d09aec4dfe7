"""``e2v bench``: one command a question. Each prints a table; -o adds JSON, Markdown and PNG."""

from __future__ import annotations

import click

from .accuracy import accuracy
from .latency import latency
from .random_model import random_model
from .recordings import recordings
from .report import compare, report
from .roofline import roofline
from .serve import serve
from .studies import embeddings, fusion
from .throughput import scale, throughput
from .turns import turns
from .windows import windows


@click.group()
def bench() -> None:
    """Measure speed and accuracy, also against other software and the machine's limits."""


for command in (latency, throughput, windows, turns, accuracy, embeddings, fusion, roofline,
                recordings, serve, scale, random_model, compare, report):  # fmt: skip
    bench.add_command(command)

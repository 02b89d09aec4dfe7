"""Roofline: multiply-adds of the model, the rate of this machine, and how near they come."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.progress import Progress
from emotion2vec_edge.engine.settings import PrecisionChoice

from ..instruments.machine import describe
from ..instruments.operators import PRODUCTS, ProductKind, Work, product_kind, profile
from ..instruments.products import Format, best_rates, openvino_rates
from ..instruments.timing import interleaved
from ..models import model_line
from ..reporting.document import Document
from ..reporting.table import Column, Table, Value
from ..speech import of_length, sample_speech

ROUNDS = 5
SMALLEST_SHARE = 0.01
"""Share of the time below which an operator is left out of the table."""


@dataclass(frozen=True)
class RooflineSettings:
    """The pass to profile."""

    model: str | None = None
    """Path or name of a bundle; None takes the default."""
    precision: PrecisionChoice = "auto"
    seconds: float = 10.0
    """Length of the clip."""
    threads: int | None = None
    """Threads of the processor; None takes all processors."""
    openvino: bool = False
    """True if the same products are computed in OpenVINO too."""


def measure(settings: RooflineSettings, progress: Progress) -> Document:
    """Profile one pass, and bare products of the same shapes.

    Args:
        settings: model and clip.
        progress: receives the name of each step.

    Raises:
        ModelError, ProviderError: the model cannot run.
        MissingExtraError: onnx, which makes the bare products, or OpenVINO is not installed.
    """
    machine = describe()
    samples = of_length(sample_speech(), settings.seconds)
    recognizer = Recognizer.load(
        settings.model, precision=settings.precision, provider="cpu", threads=settings.threads
    )
    progress("timing the whole pass")
    recognize = functools.partial(recognizer.recognize, samples, SAMPLE_RATE)
    (runs,) = interleaved([recognize], ROUNDS)
    progress("profiling")
    work = profile(recognizer, samples)
    progress("measuring bare products")
    rates = best_rates(work, recognizer.threads)
    others = openvino_rates(work, recognizer.threads) if settings.openvino else {}
    return Document(
        "roofline",
        {
            "seconds": settings.seconds, "precision": recognizer.precision,
            "threads": recognizer.threads,
        },
        [model_line(recognizer)],
        machine,
        [
            _summary(recognizer, settings.seconds, statistics.median(runs), work, rates, others),
            _operators(work, rates),
        ],
    )  # fmt: skip


def _summary(
    recognizer: Recognizer, seconds: float, whole: float, work: Mapping[str, Work],
    rates: Mapping[ProductKind, float], others: Mapping[Format, float],
) -> Table:  # fmt: skip
    """The whole pass, which took ``whole`` seconds, against the best rates."""
    macs = sum(operator.macs for operator in work.values())
    ideal = sum(
        work[name].macs / rate
        for kind, rate in rates.items()
        for name in PRODUCTS[kind] & work.keys()
    )
    weights = recognizer.bundle.variant(recognizer.precision).bytes
    bests: list[list[Value]] = [
        [f"{whose} best at these shapes, {name}", rate / 1e9, "G multiply-adds/s"]
        for whose, found in (("this machine's", rates), ("OpenVINO's", others))
        for name, rate in found.items()
    ]
    return Table(
        f"One pass over {seconds:g} s of audio, {recognizer.precision}",
        [Column("figure"), Column("value", ".4g"), Column("unit")],
        [
            ["multiply-adds a second of audio", macs / seconds / 1e9, "G"],
            ["weights that are read", weights / 2**20, "MiB"],
            ["whole pass, median", 1000 * whole, "ms"],
            ["rate over the whole pass", macs / whole / 1e9, "G multiply-adds/s"],
            *bests,
            ["matrix products at that rate alone", 1000 * ideal, "ms"],
            ["of the whole pass", 100 * ideal / whole, "%"],
        ],
    )


def _operators(work: Mapping[str, Work], rates: Mapping[ProductKind, float]) -> Table:
    total = sum(operator.seconds for operator in work.values())
    table = Table(
        "Time by operator",
        [Column("operator"), Column("calls", ".0f"), Column("ms", ".1f", "lower"),
         Column("share", ".1%"), Column("G multiply-adds", ".2f"), Column("G/s", ".0f", "higher"),
         Column("of the machine's best", ".0%")],
        note="From a profiled pass, which is a little slower than a plain one. Convolutions in "
        "INT8 (QLinearConv) are not among the multiply-adds.",
    )  # fmt: skip
    for name, operator in sorted(work.items(), key=lambda item: -item[1].seconds):
        if operator.seconds < SMALLEST_SHARE * total:
            continue
        kind = product_kind(name)
        rate = operator.macs / operator.seconds if operator.macs else None
        table.rows.append(
            [name, operator.calls, 1000 * operator.seconds, operator.seconds / total,
             operator.macs / 1e9 or None, rate / 1e9 if rate else None,
             rate / rates[kind] if rate and kind and kind in rates else None]
        )  # fmt: skip
    return table

"""Time and multiply-adds of each kind of operator, from ONNX Runtime's profile of a pass.

Multiply-adds are counted from the shapes in the profile, so they are those that ran. Convolutions
in INT8 are not counted: ONNX Runtime packs their weights, whose shapes the profile lacks then.
"""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import Samples
from emotion2vec_edge.engine.recognizer import opening_of
from emotion2vec_edge.engine.runtime.profiling import kernel_events, open_profiled

ProductKind = Literal["int8", "fp32"]

PRODUCTS: dict[ProductKind, frozenset[str]] = {
    "int8": frozenset(["DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulInteger"]),
    "fp32": frozenset(["MatMul", "FusedMatMul", "Gemm"]),
}
"""Arithmetic → operators that are matrix products in it."""

PASSES = 3
"""Passes that are averaged, after one that is not counted."""


@dataclass
class Work:
    """Work of one kind of operator in one pass."""

    seconds: float = 0.0
    macs: float = 0.0
    """Multiply-adds."""
    calls: float = 0.0
    shapes: dict[tuple[int, int, int], float] = field(default_factory=lambda: defaultdict(float))
    """(rows, depth, columns) of matrix products → multiply-adds."""


def product_kind(operator: str) -> ProductKind | None:
    """Arithmetic of a matrix product; None for other operators."""
    return next((kind for kind, names in PRODUCTS.items() if operator in names), None)


def profile(recognizer: Recognizer, samples: Samples) -> dict[str, Work]:
    """Work of one pass over the samples, by operator."""
    with tempfile.TemporaryDirectory() as folder:
        model = open_profiled(opening_of(recognizer), Path(folder))
        for _ in range(PASSES + 1):
            model.encode(samples)
        work: dict[str, Work] = defaultdict(Work)
        for path in model.end_profiling():
            for event in _later_events(path):
                count(event, work)
    for operator in work.values():
        operator.seconds /= PASSES
        operator.macs /= PASSES
        operator.calls /= PASSES
    return dict(work)


def _later_events(path: Path) -> Iterator[dict[str, Any]]:
    """Events of operators, without those of the first pass."""
    events = list(kernel_events(path))
    yield from events[len(events) // (PASSES + 1) :]


def count(event: dict[str, Any], work: dict[str, Work]) -> None:
    """Add one event of a profile to the work of its operator."""
    facts = event["args"]
    name = facts["op_name"]
    inputs = [next(iter(shape.values())) for shape in facts.get("input_type_shape", [])]
    outputs = [next(iter(shape.values())) for shape in facts.get("output_type_shape", [])]
    operator = work[name]
    operator.seconds += event["dur"] / 1e6
    operator.calls += 1
    if product_kind(name) and inputs and outputs:
        depth = inputs[0][-1]
        macs = math.prod(outputs[0]) * depth
        operator.shapes[math.prod(outputs[0][:-1]), depth, outputs[0][-1]] += macs
    elif name in ("Conv", "FusedConv") and outputs:
        macs = math.prod(outputs[0]) * math.prod(inputs[1][1:])
    elif name == "MultiHeadAttention" and inputs:
        batch, length, width = inputs[0]
        macs = 2 * batch * length * length * width
    else:
        return
    operator.macs += macs

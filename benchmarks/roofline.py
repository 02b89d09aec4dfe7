"""``e2v bench roofline``: what the model must compute, what this machine can, how near it comes.

Multiply-adds are counted where ONNX Runtime's profile says which shapes passed through which
operator, so they are those that ran; the machine's rate is that of bare products of those shapes.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.errors import MissingExtraError
from emotion2vec_edge.engine.runtime.profiling import kernel_events, open_profiled
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .document import Column, Document, Table, Value
from .machine import describe
from .models import model_line

INT8 = frozenset(["DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulInteger"])
FP32 = frozenset(["MatMul", "FusedMatMul", "Gemm"])
PASSES = 3
SMALLEST_SHARE = 0.01


@dataclass
class Work:
    """What one kind of operator did in one pass."""

    seconds: float = 0.0
    macs: float = 0.0
    calls: float = 0.0
    shapes: dict[tuple[int, int, int], float] = field(default_factory=lambda: defaultdict(float))
    """(rows, depth, columns) of products → multiply-adds."""


def measure(
    model: str | None, precision: str, seconds: float, threads: int | None,
    progress: Callable[[str], None],
) -> Document:  # fmt: skip
    """Profile one pass, and the machine at the same shapes.

    Raises:
        MissingExtraError: onnx, which makes the bare products, is not installed.
    """
    machine = describe()
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    samples = np.resize(speech, round(seconds * SAMPLE_RATE))
    recognizer = Recognizer.load(model, precision=precision, provider="cpu", threads=threads)
    progress("timing the whole pass")
    recognizer.recognize(samples, SAMPLE_RATE)
    runs = []
    for _ in range(5):
        started = time.perf_counter()
        recognizer.recognize(samples, SAMPLE_RATE)
        runs.append(time.perf_counter() - started)
    whole = float(np.median(runs))
    progress("profiling")
    work = profile(recognizer, samples)
    progress("measuring bare products")
    peaks = {
        kind: _peak(work, names, kind, recognizer.threads)
        for kind, names in (("int8", INT8), ("fp32", FP32))
        if any(work[name].macs for name in names & work.keys())
    }
    variant = recognizer.bundle.variant(recognizer.precision)
    document = Document(
        "roofline",
        {"seconds": seconds, "precision": recognizer.precision, "threads": recognizer.threads},
        [model_line(recognizer)],
        machine,
    )
    total = sum(each.macs for each in work.values())
    ideal = 0.0
    for kind, names in (("int8", INT8), ("fp32", FP32)):
        macs = sum(work[name].macs for name in names & work.keys())
        if kind in peaks:
            ideal += macs / peaks[kind]
    bests: list[list[Value]] = [
        [f"this machine's best at these shapes, {kind}", peak / 1e9, "G multiply-adds/s"]
        for kind, peak in peaks.items()
    ]
    summary = Table(
        f"One pass over {seconds:g} s of audio, {recognizer.precision}",
        [Column("what"), Column("value", ".4g"), Column("unit")],
        [
            ["multiply-adds a second of audio", total / seconds / 1e9, "G"],
            ["weights that are read", variant.bytes / 2**20, "MiB"],
            ["whole pass, median", 1000 * whole, "ms"],
            ["rate over the whole pass", total / whole / 1e9, "G multiply-adds/s"],
            *bests,
            ["matrix products at that rate alone", 1000 * ideal, "ms"],
            ["of the whole pass", 100 * ideal / whole, "%"],
        ],
    )
    document.tables = [summary, _operators(work, peaks)]
    return document


def _operators(work: dict[str, Work], peaks: dict[str, float]) -> Table:
    everything = sum(each.seconds for each in work.values())
    table = Table(
        "Where the time goes",
        [Column("operator"), Column("calls", ".0f"), Column("ms", ".1f", "lower"),
         Column("share", ".1%"), Column("G multiply-adds", ".2f"), Column("G/s", ".0f", "higher"),
         Column("of the machine's best", ".0%")],
        note="From a profiled pass, which is a little slower than a plain one.",
    )  # fmt: skip
    for name, each in sorted(work.items(), key=lambda item: -item[1].seconds):
        if each.seconds < SMALLEST_SHARE * everything:
            continue
        kind = "int8" if name in INT8 else "fp32" if name in FP32 else ""
        rate = each.macs / each.seconds if each.macs else None
        table.rows.append(
            [name, each.calls, 1000 * each.seconds, each.seconds / everything,
             each.macs / 1e9 or None, rate / 1e9 if rate else None,
             rate / peaks[kind] if rate and kind in peaks else None]
        )  # fmt: skip
    return table


def profile(recognizer: Recognizer, samples: Samples) -> dict[str, Work]:
    """Time and multiply-adds of one pass, by operator."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = open_profiled(recognizer, Path(folder))
        for _ in range(PASSES + 1):
            encoder.encode(samples)
        work: dict[str, Work] = defaultdict(Work)
        for session in (encoder.frontend, encoder.encoder):
            for event in _later_events(Path(session.end_profiling())):
                _count(event, work)
    for each in work.values():
        each.seconds /= PASSES
        each.macs /= PASSES
        each.calls /= PASSES
    return dict(work)


def _later_events(path: Path) -> Iterator[dict[str, Any]]:
    """Events of operators, without those of the first of the passes."""
    events = list(kernel_events(path))
    yield from events[len(events) // (PASSES + 1) :]


def _count(event: dict[str, Any], work: dict[str, Work]) -> None:
    facts = event["args"]
    name = facts["op_name"]
    inputs = [next(iter(shape.values())) for shape in facts.get("input_type_shape", [])]
    outputs = [next(iter(shape.values())) for shape in facts.get("output_type_shape", [])]
    each = work[name]
    each.seconds += event["dur"] / 1e6
    each.calls += 1
    if name in INT8 | FP32 and inputs and outputs:
        depth = inputs[0][-1]
        macs = math.prod(outputs[0]) * depth
        each.shapes[math.prod(outputs[0][:-1]), depth, outputs[0][-1]] += macs
    elif name in ("Conv", "FusedConv") and outputs:
        macs = math.prod(outputs[0]) * math.prod(inputs[1][1:])
    elif name == "MultiHeadAttention" and inputs:
        batch, length, width = inputs[0]
        macs = 2 * batch * length * length * width
    else:
        return
    each.macs += macs


def _peak(work: dict[str, Work], names: frozenset[str], kind: str, threads: int) -> float:
    """Best multiply-adds a second of a bare product, over the shapes that matter most."""
    shapes: dict[tuple[int, int, int], float] = defaultdict(float)
    for name in names & work.keys():
        for shape, macs in work[name].shapes.items():
            shapes[shape] += macs
    most = sorted(shapes, key=lambda shape: -shapes[shape])[:4]
    return max(_product_rate(*shape, kind, threads) for shape in most)


def _product_rate(rows: int, depth: int, columns: int, kind: str, threads: int) -> float:
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise MissingExtraError(
            "bare products are made with onnx: pip install 'emotion2vec-edge[quantize]'"
        ) from None
    ort = import_onnxruntime()
    rng = np.random.default_rng(0)
    if kind == "int8":
        weight = rng.integers(-127, 128, (depth, columns)).astype(np.int8)
        x = rng.integers(0, 256, (rows, depth)).astype(np.uint8)
        operator, types = "MatMulInteger", (TensorProto.UINT8, TensorProto.INT32)
    else:
        weight = rng.normal(size=(depth, columns)).astype(np.float32)
        x = rng.normal(size=(rows, depth)).astype(np.float32)
        operator, types = "MatMul", (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", types[0], [rows, depth])],
        [helper.make_tensor_value_info("y", types[1], [rows, columns])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    best = math.inf
    until = time.perf_counter() + 0.5
    while time.perf_counter() < until:
        started = time.perf_counter()
        session.run(None, {"x": x})
        best = min(best, time.perf_counter() - started)
    return rows * depth * columns / best

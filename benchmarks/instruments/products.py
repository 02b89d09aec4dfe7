"""Rate of bare matrix products in ONNX Runtime: the best that this machine reaches."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from emotion2vec_edge.engine.errors import MissingExtraError
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .operators import PRODUCTS, ProductKind, Work

SHAPES = 4
"""Number of shapes that are measured: those with the most multiply-adds."""
SECONDS = 0.5
"""Time spent on each shape."""


def best_rates(work: Mapping[str, Work], threads: int) -> dict[ProductKind, float]:
    """Arithmetic → multiply-adds a second of a bare product, the best of the shapes that matter.

    Args:
        work: profiled pass, whose shapes are measured.
        threads: threads of the products.

    Raises:
        MissingExtraError: onnx, which makes the products, is not installed.
    """
    rates: dict[ProductKind, float] = {}
    for kind, names in PRODUCTS.items():
        shapes: dict[tuple[int, int, int], float] = defaultdict(float)
        for name in names & work.keys():
            for shape, macs in work[name].shapes.items():
                shapes[shape] += macs
        largest = sorted(shapes, key=lambda shape: -shapes[shape])[:SHAPES]
        if largest:
            rates[kind] = max(product_rate(*shape, kind, threads) for shape in largest)
    return rates


def product_rate(rows: int, depth: int, columns: int, kind: ProductKind, threads: int) -> float:
    """Multiply-adds a second of [rows, depth] × [depth, columns], the fastest run counts.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    ort = import_onnxruntime()
    model, x = _product(rows, depth, columns, kind)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    best = math.inf
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        session.run(None, {"x": x})
        best = min(best, time.perf_counter() - started)
    return rows * depth * columns / best


def _product(rows: int, depth: int, columns: int, kind: ProductKind) -> tuple[bytes, np.ndarray]:
    """A model of one product with random weights, and its input."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise MissingExtraError(
            "bare products are made with onnx: pip install 'emotion2vec-edge[quantize]'"
        ) from None
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
    return model.SerializeToString(), x

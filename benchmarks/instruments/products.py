"""Rate of bare matrix products in ONNX Runtime or OpenVINO: the best that this machine reaches."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from emotion2vec_edge.engine.errors import MissingExtraError
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .operators import PRODUCTS, ProductKind, Work

SHAPES = 4
"""Number of shapes that are measured: those with the most multiply-adds."""
SECONDS = 0.5
"""Time spent on each shape."""

Format = Literal["int8", "fp32", "bf16"]
"""Numbers that a product computes with."""

FormatT = TypeVar("FormatT", bound=Format)
Make: TypeAlias = Callable[[np.ndarray, np.ndarray, int, Format], Callable[[], object]]
"""Weight, input, threads and numbers → runs the product."""


def best_rates(work: Mapping[str, Work], threads: int) -> dict[ProductKind, float]:
    """Arithmetic → multiply-adds a second of a bare product, the best of the shapes that matter.

    Args:
        work: profiled pass, whose shapes are measured.
        threads: threads of the products.

    Raises:
        MissingExtraError: onnx, which makes the products, is not installed.
    """
    return _best(work, {kind: kind for kind in PRODUCTS}, threads, _in_onnxruntime)


def openvino_rates(work: Mapping[str, Work], threads: int) -> dict[Format, float]:
    """As :func:`best_rates`, in OpenVINO; bf16 with the shapes of fp32.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    kinds: dict[Format, ProductKind] = {"int8": "int8", "fp32": "fp32", "bf16": "fp32"}
    return _best(work, kinds, threads, _in_openvino)


def _best(
    work: Mapping[str, Work], kinds: Mapping[FormatT, ProductKind], threads: int, make: Make
) -> dict[FormatT, float]:
    """Numbers → the best rate at the largest shapes of a kind of product, where there are any."""
    found = {numbers: _largest_shapes(work, kind) for numbers, kind in kinds.items()}
    return {
        numbers: max(_rate(shape, numbers, threads, make) for shape in shapes)
        for numbers, shapes in found.items()
        if shapes
    }


def _largest_shapes(work: Mapping[str, Work], kind: ProductKind) -> list[tuple[int, int, int]]:
    """Shapes of the products with the most multiply-adds."""
    shapes: dict[tuple[int, int, int], float] = defaultdict(float)
    for name in PRODUCTS[kind] & work.keys():
        for shape, macs in work[name].shapes.items():
            shapes[shape] += macs
    return sorted(shapes, key=lambda shape: -shapes[shape])[:SHAPES]


def _rate(shape: tuple[int, int, int], numbers: Format, threads: int, make: Make) -> float:
    """Multiply-adds a second of [rows, depth] × [depth, columns], the fastest run counts."""
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    if numbers == "int8":
        weight = rng.integers(-127, 128, (depth, columns)).astype(np.int8)
        x = rng.integers(0, 256, (rows, depth)).astype(np.uint8)
    else:
        weight = rng.normal(size=(depth, columns)).astype(np.float32)
        x = rng.normal(size=(rows, depth)).astype(np.float32)
    product = make(weight, x, threads, numbers)
    best = math.inf
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - started)
    return rows * depth * columns / best


def _in_onnxruntime(
    weight: np.ndarray, x: np.ndarray, threads: int, numbers: Format
) -> Callable[[], object]:
    """A session with one product."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    model = _model(weight, x, numbers)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def _in_openvino(
    weight: np.ndarray, x: np.ndarray, threads: int, numbers: Format
) -> Callable[[], object]:
    """A compiled model with one product; in INT8 its input is quantized in it, as in W8A8."""
    try:
        import openvino
        from openvino import opset13 as op
    except ImportError:
        raise MissingExtraError("OpenVINO is not installed: pip install openvino") from None
    given = op.parameter(x.shape, np.float32, name="x")
    left, right = given, op.constant(weight)
    if numbers == "int8":
        left = op.fake_quantize(given, *map(np.float32, (0, 255, 0, 255)), levels=256)
        right = op.multiply(op.convert(right, np.float32), np.full((1, 1), 0.01, np.float32))
    graph = openvino.Model([op.matmul(left, right, False, False)], [given])
    properties = {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if numbers == "bf16" else "f32",
    }  # fmt: skip
    request = openvino.Core().compile_model(graph, "CPU", properties).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x.astype(np.float32)))
    return lambda: request.infer()  # noqa: PLW0108 - mypy knows no type of it


def _model(weight: np.ndarray, x: np.ndarray, numbers: Format) -> bytes:
    """A model of one product."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise MissingExtraError(
            "bare products are made with onnx: pip install 'emotion2vec-edge[quantize]'"
        ) from None
    if numbers == "int8":
        operator, types = "MatMulInteger", (TensorProto.UINT8, TensorProto.INT32)
    else:
        operator, types = "MatMul", (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", types[0], x.shape)],
        [helper.make_tensor_value_info("y", types[1], [len(x), weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized

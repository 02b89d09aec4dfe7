"""torch → ONNX: ``frontend.onnx`` and ``encoder.onnx``, or one merged graph.

The graphs use opset 18 and only operators of ONNX Runtime 1.18, the version in JetPack 6.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript.optimizer
import torch
from torch import nn

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.bundle.manifest import AudioContract, Label

from .interrupts import Interrupts
from .model.emotion2vec import Emotion2vec

OPSET = 18
IR_VERSION = 8
"""The version of opset 18; ONNX Runtime 1.18 reads up to 10, and onnx now writes more."""

EXTERNAL_DATA_BYTES = 2_000_000_000
"""Size from which the weights lie beside the graph: a protobuf file cannot hold 2 GiB."""

FOLDING_BYTES = 1 << 31
"""Largest constant that is computed at export instead of at every load."""

HALVED_BYTES = 1024
"""Size from which a weight is stored in 16 bits, if they hold all of its values."""
HALVED = "_16_bits"
"""End of the name of such a weight."""


def export_graphs(
    model: Emotion2vec, folder: Path, labels: tuple[Label, ...], audio: AudioContract
) -> None:
    """Write ``frontend.onnx`` and ``encoder.onnx`` into ``folder``."""
    metadata = _metadata(labels, audio)
    frames = torch.zeros(2, 49, model.config.embed_dim)
    _export(
        model.frontend,
        {"waveform": torch.zeros(2, SAMPLE_RATE)},
        {"waveform": ("batch", "samples")},
        {"features": ("batch", "frames", None)},
        folder / "frontend.onnx",
        metadata,
        "frontend.onnx.data",
    )
    outputs = {"frames": ("batch", "frames", None), "logits": ("batch", "frames", None)}
    if not labels:
        del outputs["logits"]
    _export(
        model.encoder,
        {"features": frames, "lengths": torch.tensor([49, 20])},
        {"features": ("batch", "frames"), "lengths": ("batch",)},
        outputs,
        folder / "encoder.onnx",
        metadata,
        "encoder.onnx.data",
    )


def export_single_file(
    model: Emotion2vec, path: Path, labels: tuple[Label, ...], audio: AudioContract
) -> None:
    """Write normalisation, front-end, encoder and head as one graph, for other servers.

    Weights beyond :data:`EXTERNAL_DATA_BYTES` get a name with their digest, so that a new graph
    never reads the weights of an old one.
    """
    outputs: dict[str, tuple[str | None, ...]] = {
        "frames": ("batch", "frames", None),
        "embedding": ("batch", None),
        "logits": ("batch", "frames", None),
        "probabilities": ("batch", None),
    }
    if not labels:
        del outputs["logits"], outputs["probabilities"]
    _export(
        model,
        {
            "waveform": torch.zeros(2, SAMPLE_RATE),
            "lengths": torch.tensor([SAMPLE_RATE, SAMPLE_RATE // 2]),
        },
        {"waveform": ("batch", "samples"), "lengths": ("batch",)},
        outputs,
        path,
        _metadata(labels, audio),
        f"{path.stem}-{{digest}}.data",
    )


def _metadata(labels: tuple[Label, ...], audio: AudioContract) -> dict[str, str]:
    """``metadata_props`` for readers that have the ``.onnx`` alone."""
    return {
        "labels": json.dumps([label.id for label in labels]),
        "sample_rate": str(audio.sample_rate),
        "hop": str(audio.hop),
        "receptive_field": str(audio.receptive_field),
        "normalize": json.dumps(audio.normalize),
    }


def _export(
    module: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    dynamic: Mapping[str, tuple[str, ...]],
    outputs: Mapping[str, tuple[str | None, ...]],
    path: Path,
    metadata: Mapping[str, str],
    data_name: str,
) -> None:
    with _quiet(), Interrupts(at_once=True).noted() as interrupts:
        try:
            program = torch.onnx.export(
                module,
                kwargs=dict(inputs),
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=True,
                optimize=True,
                verbose=False,
                dynamic_shapes={
                    name: dict.fromkeys(range(len(names)), torch.export.Dim.DYNAMIC)
                    for name, names in dynamic.items()
                },
            )
        except Exception:
            interrupts.check()  # torch's lazy imports swallow it, and something else fails later
            raise
        interrupts.check()
    if program is None:  # only for exporters that write the file themselves
        raise RuntimeError("torch.onnx.export returned no program")
    # Once more without the limits on size: reshaped weights are constants too.
    onnxscript.optimizer.optimize(
        program.model, input_size_limit=FOLDING_BYTES, output_size_limit=FOLDING_BYTES
    )
    graph: onnx.ModelProto = program.model_proto
    graph.ir_version = IR_VERSION
    graph.producer_name = "emotion2vec-edge"
    _name_axes(graph.graph.input, dynamic)
    _name_axes(graph.graph.output, outputs)
    _name_layers(graph)
    _drop_exporter_notes(graph)
    onnx.helper.set_model_props(graph, dict(metadata))
    _store_in_16_bits(graph.graph)
    _save(graph, path, data_name)
    onnx.checker.check_model(path)


def _store_in_16_bits(graph: onnx.GraphProto) -> None:
    """Halve the weights whose values float16 holds exactly, as those of a rounded checkpoint.

    ONNX Runtime widens them when it loads the graph, so all else is as with weights of 32 bits.
    """
    widened = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):  # it becomes infinite, which is not the same
            half = values.astype(np.float16)
        if values.nbytes < HALVED_BYTES or not np.array_equal(half, values):
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, name + HALVED))
        widened.append(
            onnx.helper.make_node(
                "Cast", [tensor.name], [name], name=f"{name}_widened", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*widened, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _save(graph: onnx.ModelProto, path: Path, data_name: str) -> None:
    """Write a graph and, if it is large, its weights under ``data_name`` beside it."""
    if graph.ByteSize() < EXTERNAL_DATA_BYTES:
        onnx.save_model(graph, path)
        return
    digest = hashlib.sha256()
    for tensor in graph.graph.initializer:
        digest.update(tensor.raw_data)
    onnx.save_model(
        graph,
        path,
        save_as_external_data=True,
        location=data_name.replace("{digest}", digest.hexdigest()[:8]),
        size_threshold=1024,
    )


def _name_axes(values: Any, names: Mapping[str, tuple[str | None, ...]]) -> None:
    """Give dynamic axes the names of the contract instead of the tracer's ``s77``."""
    for value in values:
        for axis, name in zip(value.type.tensor_type.shape.dim, names[value.name], strict=False):
            if name is not None:
                axis.dim_param = name


def _name_layers(graph: onnx.ModelProto) -> None:
    """Name each MatMul and Conv after its module, as ``blocks.3.fc1``, for the quantization."""
    constants = {tensor.name for tensor in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type not in ("MatMul", "Conv") or not constants.intersection(node.input):
            continue
        scopes = next(
            (p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]"
        )
        modules = [scope for scope in ast.literal_eval(scopes)[:-1] if scope]
        if modules:
            node.name = modules[-1]


def _drop_exporter_notes(graph: onnx.ModelProto) -> None:
    """Remove the tracer's stack traces: they name local files, and double a small graph."""
    del graph.graph.value_info[:]
    del graph.graph.metadata_props[:]
    for node in graph.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in [*graph.graph.input, *graph.graph.output, *graph.graph.initializer]:
        value.ClearField("doc_string")
        del value.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings, which concern its own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

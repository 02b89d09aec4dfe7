"""``config.pbtxt`` of the models of a repository, in protobuf's text format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Device = Literal["cpu", "gpu"]
DataType = Literal["TYPE_FP32", "TYPE_INT64"]

WARM_UP_SECONDS = (1, 10)
"""Seconds of audio that a model is run with before it takes requests."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model, without the dimension of the batch."""

    name: str
    data_type: DataType
    dims: tuple[int, ...]
    """−1 for a dimension of any size."""
    scalar: bool = False
    """True for a graph's [batch] that clients send as [batch, 1]: Triton has no empty dims."""
    labels: bool = False
    """True if labels.txt names its values."""

    def text(self) -> str:
        """The fields of the message."""
        dims = ", ".join(map(str, self.dims))
        shown = f'{{ name: "{self.name}", data_type: {self.data_type}, dims: [ {dims} ]'
        if self.scalar:
            shown += ", reshape: { shape: [ ] }"
        if self.labels:
            shown += ', label_filename: "labels.txt"'
        return shown + " }"


@dataclass(frozen=True)
class WarmUpInput:
    """One input of a warm-up request."""

    tensor: Tensor
    dims: tuple[int, ...]
    file: str | None = None
    """File of its values in the model's folder ``warmup``; None takes random ones."""


@dataclass(frozen=True)
class GraphConfig:
    """A model that ONNX Runtime runs."""

    name: str
    graph: str
    """Name of its file."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    device: Device
    instances: int
    max_batch: int
    delay: int
    """Microseconds that a request waits for others of its shape."""
    warm_ups: Mapping[str, tuple[WarmUpInput, ...]] = field(default_factory=dict)

    def text(self) -> str:
        """The text of its ``config.pbtxt``."""
        lines = [
            f'name: "{self.name}"',
            'backend: "onnxruntime"',
            f'default_model_filename: "{self.graph}"',
            f"max_batch_size: {self.max_batch}",
            *_tensors(self.inputs, self.outputs),
            f"instance_group [ {{ count: {self.instances}, kind: KIND_{self.device.upper()} }} ]",
        ]
        if self.max_batch > 1:
            lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {self.delay} }}")
        for name, inputs in self.warm_ups.items():
            lines += [
                "model_warmup [ {",
                f'  name: "{name}"',
                "  batch_size: 1",
                *map(_warm_up_input, inputs),
                "} ]",
            ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Step:
    """One model of an ensemble: its inputs and outputs → tensors of the ensemble."""

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class EnsembleConfig:
    """A model made of others."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_batch: int
    steps: Sequence[Step]
    parameters: Mapping[str, object]

    def text(self) -> str:
        """The text of its ``config.pbtxt``."""
        lines = [
            f'name: "{self.name}"',
            'platform: "ensemble"',
            f"max_batch_size: {self.max_batch}",
            *_tensors(self.inputs, self.outputs),
            "ensemble_scheduling {",
        ]
        for step in self.steps:
            lines += [
                "  step [ {",
                f'    model_name: "{step.model}"',
                "    model_version: -1",
                *(f"    input_map {_pair(*pair)}" for pair in step.inputs.items()),
                *(f"    output_map {_pair(*pair)}" for pair in step.outputs.items()),
                "  } ]",
            ]
        lines.append("}")
        for key, value in self.parameters.items():
            text = json.dumps(str(value))  # its escapes are protobuf's too
            lines.append(f'parameters {{ key: "{key}", value: {{ string_value: {text} }} }}')
        return "\n".join(lines) + "\n"


def _tensors(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[str]:
    return [
        *(f"input [ {tensor.text()} ]" for tensor in inputs),
        *(f"output [ {tensor.text()} ]" for tensor in outputs),
    ]


def _warm_up_input(given: WarmUpInput) -> str:
    dims = ", ".join(map(str, given.dims))
    values = f'input_data_file: "{given.file}"' if given.file else "random_data: true"
    tensor = given.tensor
    return (
        f'  inputs {{ key: "{tensor.name}", value: {{ data_type: {tensor.data_type}, '
        f"dims: [ {dims} ], {values} }} }}"
    )


def _pair(key: str, value: str) -> str:
    return f'{{ key: "{key}", value: "{value}" }}'

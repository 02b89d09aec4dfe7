"""Requests and answers of the KServe v2 inference protocol, as JSON with binary tensors.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol and, for binary
tensors, Triton's ``extension_binary_data``. Recordings come as BYTES, whole files, or as FP32
waveforms.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...audio.types import SAMPLE_RATE, Samples
from ...errors import MalformedRequestError, OptionError, RequestTooLargeError
from ..settings import MOST_FILES

AUDIO, WAVEFORM, RATE = "audio", "waveform", "rate"
"""Names of the inputs: whole files, or samples and their rate in Hz."""

OutputName = Literal["emotion", "scores", "labels", "embedding"]

MOST_JSON = 16 << 20
"""Bytes of the JSON part of a request; larger waveforms are sent as binary tensors."""

Data: TypeAlias = "NDArray[np.float32] | list[bytes]"


@dataclass(frozen=True)
class Tensor:
    """One output."""

    name: OutputName
    datatype: Literal["FP32", "BYTES"]
    shape: tuple[int, ...]
    data: Data
    """float32 of the shape, or as many byte strings."""

    def raw(self) -> bytes:
        """The tensor in binary."""
        if isinstance(self.data, list):
            return b"".join(struct.pack("<I", len(string)) + string for string in self.data)
        return self.data.astype("<f4").tobytes()

    def plain(self) -> list[Any]:
        """The tensor as a flat list for JSON."""
        if isinstance(self.data, list):
            return [string.decode() for string in self.data]
        values: list[Any] = self.data.ravel().tolist()
        return values


@dataclass(frozen=True)
class InferRequest:
    """A request for inference."""

    recordings: Sequence[bytes | Samples]
    """Whole files, or samples, float32 [samples]."""
    rate: int = SAMPLE_RATE
    """Sample rate in Hz of samples."""
    id: str | None = None
    """Identifier that the answer repeats."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, bool] = field(default_factory=dict)
    """Names of the outputs that are wanted, and True for those in binary; all if it is empty."""
    binary: bool = False
    """True if all outputs are wanted in binary."""


def read_request(content: bytes, json_length: int | None) -> InferRequest:
    """Read a request.

    Args:
        content: the body.
        json_length: bytes of its JSON part; None if there is no other.

    Raises:
        MalformedRequestError: it is no request of the protocol.
        OptionError: inputs that are not those of the model.
        RequestTooLargeError: more JSON, or more recordings, than are taken.
    """
    length = len(content) if json_length is None else json_length
    if length > len(content):
        raise MalformedRequestError("the body is shorter than its JSON part should be")
    if length > MOST_JSON:
        raise RequestTooLargeError(
            f"more than {MOST_JSON >> 20} MiB of JSON; send recordings as binary tensors"
        )
    try:
        document = json.loads(content[:length])
        inputs = [_input(tensor) for tensor in document["inputs"]]
        parameters = dict(document.get("parameters") or {})
        outputs = {
            str(output["name"]): bool((output.get("parameters") or {}).get("binary_data"))
            for output in document.get("outputs") or ()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MalformedRequestError(
            "the body is no inference request of the KServe v2 protocol"
        ) from None
    known = {"emotion", "scores", "labels", "embedding"}
    if unknown := outputs.keys() - known:
        raise OptionError(f"output {min(unknown)!r:.60} is not known: {', '.join(sorted(known))}")
    recordings, rate = _recordings(_filled(inputs, content[length:]))
    given = document.get("id")
    return InferRequest(
        recordings, rate, None if given is None else str(given), parameters, outputs,
        bool(parameters.get("binary_data_output")),
    )  # fmt: skip


@dataclass(frozen=True)
class _Input:
    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any
    """Nested lists; None for a tensor that is in binary."""
    size: int
    """Bytes of the tensor in binary."""


def _input(tensor: Any) -> _Input:
    shape = tuple(tensor["shape"])
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError("shape")
    size = (tensor.get("parameters") or {}).get("binary_data_size", 0)
    if not isinstance(size, int) or size < 0:
        raise ValueError("size")
    return _Input(str(tensor["name"]), str(tensor["datatype"]), shape, tensor.get("data"), size)


def _filled(inputs: Sequence[_Input], binary: bytes) -> dict[str, tuple[_Input, Any]]:
    """Inputs by name, each with its content: byte strings, or an array."""
    filled = {}
    for tensor in inputs:
        piece, binary = binary[: tensor.size], binary[tensor.size :]
        if len(piece) < tensor.size:
            raise MalformedRequestError(f"input {tensor.name!r:.60}: its binary data is cut off")
        if tensor.datatype == "BYTES":
            value: Any = _strings(tensor, piece)
        else:
            value = _numbers(tensor, piece)
        filled[tensor.name] = (tensor, value)
    return filled


def _strings(tensor: _Input, piece: bytes) -> list[bytes]:
    if tensor.data is not None:
        return [_decoded(text) for text in _flat(tensor.data)]
    strings = []
    while piece:
        if len(piece) < 4 or len(piece) - 4 < (length := struct.unpack_from("<I", piece)[0]):
            raise MalformedRequestError(f"input {tensor.name!r:.60}: its byte strings are cut off")
        strings.append(piece[4 : 4 + length])
        piece = piece[4 + length :]
    return strings


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise MalformedRequestError(
            "recordings in JSON are base64; send them as binary tensors otherwise"
        ) from None


DTYPES = {"FP32": "<f4", "INT32": "<i4", "INT64": "<i8"}


def _numbers(tensor: _Input, piece: bytes) -> NDArray[Any]:
    if tensor.datatype not in DTYPES:
        raise OptionError(
            f"input {tensor.name!r:.60} is {tensor.datatype!r:.20}; give BYTES, FP32 or INT32"
        )
    try:
        values = (
            np.frombuffer(piece, DTYPES[tensor.datatype])
            if tensor.data is None
            else np.array(_flat(tensor.data), DTYPES[tensor.datatype])
        )
        return values.reshape(tensor.shape)
    except (ValueError, TypeError, OverflowError):
        raise MalformedRequestError(
            f"input {tensor.name!r:.60}: its data is not {tensor.datatype} of shape "
            f"{list(tensor.shape)}"
        ) from None


def _flat(data: Any) -> list[Any]:
    """The values of nested lists."""
    if not isinstance(data, list):
        raise MalformedRequestError("the data of an input is a list")
    values: list[Any] = data
    while values and isinstance(values[0], list):
        values = [value for inner in values for value in (inner if isinstance(inner, list) else ())]
    return values


def _recordings(
    inputs: Mapping[str, tuple[_Input, Any]],
) -> tuple[Sequence[bytes | Samples], int]:
    given = inputs.keys() - {RATE}
    if given not in ({AUDIO}, {WAVEFORM}):
        raise OptionError(
            f"give one input: {AUDIO} (BYTES, whole files), or {WAVEFORM} (FP32, with {RATE} in Hz)"
        )
    name = next(iter(given))
    tensor, value = inputs[name]
    if tensor.datatype != ("BYTES" if name == AUDIO else "FP32"):
        raise OptionError(
            f"input {name} is {tensor.datatype:.20}; {AUDIO} is BYTES, {WAVEFORM} FP32"
        )
    if isinstance(value, list):
        if len(value) != math.prod(tensor.shape):
            raise MalformedRequestError(
                f"input {name} has {len(value)} strings, not {tensor.shape}"
            )
        rows: Sequence[bytes | Samples] = value
    else:
        if value.ndim not in (1, 2):
            raise OptionError(
                f"input {name} is of shape {list(tensor.shape)}; give [batch, samples]"
            )
        rows = list(np.atleast_2d(value))
    if not rows:
        raise OptionError("there is no recording")
    if len(rows) > MOST_FILES:
        raise RequestTooLargeError(f"more than {MOST_FILES} recordings in one request")
    return rows, _rate(inputs)


def _rate(inputs: Mapping[str, tuple[_Input, Any]]) -> int:
    if RATE not in inputs:
        return SAMPLE_RATE
    value = inputs[RATE][1]
    if isinstance(value, list) or value.size != 1:
        raise OptionError(f"input {RATE} is one number, in Hz")
    return int(value.ravel()[0])


def written(
    request: InferRequest, model: str, tensors: Sequence[Tensor]
) -> tuple[bytes, int | None]:
    """The body of an answer, and the bytes of its JSON part if there is more."""
    wanted = [tensor for tensor in tensors if not request.outputs or tensor.name in request.outputs]
    described, binary = [], []
    for tensor in wanted:
        content: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
        }
        if request.outputs.get(tensor.name, request.binary):
            raw = tensor.raw()
            content["parameters"] = {"binary_data_size": len(raw)}
            binary.append(raw)
        else:
            content["data"] = tensor.plain()
        described.append(content)
    document: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": described}
    if request.id is not None:
        document["id"] = request.id
    head = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    return b"".join([head, *binary]), len(head) if binary else None

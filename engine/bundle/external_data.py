"""Names of the files that an ONNX graph keeps its weights in, beside itself.

ONNX Runtime opens such files without asking, so a bundle must list them. They are found without the
onnx package: a walk over the protobuf fields (onnx.proto) that can lead to a tensor, which skips
the weights themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ..errors import BundleFormatError

MOST_FIELDS = 1_000_000
"""Fields of one graph; real ones have some ten thousand."""

MOST_ENTRY_BYTES = 4_096
"""Bytes of a key or a value of external data."""

_VARINT, _BYTES = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
"""Wire types of protobuf (protobuf.dev/programming-guides/encoding)."""

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Message → number of a field → message in it, on all ways to ``TensorProto.external_data``."""


def external_files(file: BinaryIO, path: Path) -> tuple[str, ...]:
    """Locations of external data in an ONNX file, relative to its folder.

    Args:
        file: the open file.
        path: its path, for messages.

    Raises:
        BundleFormatError: it is not an ONNX file.
        OSError: it cannot be read.
    """
    try:
        return tuple(sorted(_Walk(file).locations()))
    except ValueError as error:
        raise BundleFormatError(f"{path}: not an ONNX graph: {error}") from None


class _Walk:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, 2)
        self.fields = 0

    def locations(self) -> set[str]:
        found: set[str] = set()
        waiting = [("model", 0, self.size)]
        while waiting:
            message, start, end = waiting.pop()
            children = _CHILDREN[message]
            for number, at, length in self._contents(start, end):
                child = children.get(number)
                if child == "entry":
                    key, value = self._entry(at, at + length)
                    if key == b"location":
                        found.add(value.decode("utf-8"))
                elif child is not None:
                    waiting.append((child, at, at + length))
        return found

    def _entry(self, start: int, end: int) -> tuple[bytes, bytes]:
        """Key and value of a StringStringEntryProto."""
        texts = {1: b"", 2: b""}
        for number, at, length in self._contents(start, end):
            if length > MOST_ENTRY_BYTES:
                raise ValueError(f"a name of {length} bytes")
            self.file.seek(at)
            texts[number] = self.file.read(length)
        return texts[1], texts[2]

    def _contents(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """Number, start and length of each field of bytes in a message."""
        found = []
        at = start
        while at < end:
            self.fields += 1
            if self.fields > MOST_FIELDS:
                raise ValueError(f"it has more than {MOST_FIELDS} fields")
            self.file.seek(at)
            tag = self._varint()
            wire = tag & 7
            if wire == _VARINT:
                self._varint()
                length = 0
            elif wire == _BYTES:
                length = self._varint()
            elif wire in _FIXED_BYTES:
                length = _FIXED_BYTES[wire]
            else:
                raise ValueError(f"a field of wire type {wire}")
            content = self.file.tell()
            at = content + length
            if at > end:
                raise ValueError("a field ends after its message")
            if wire == _BYTES:
                found.append((tag >> 3, content, length))
        return found

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.file.read(1)
            if not byte:
                break
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise ValueError("a number without an end")

"""Tensors of a torch file: the zip archive of today, or the format before torch 1.6.

A tensor is made only after its storage, shape and strides were found to agree, so that a file
cannot ask for more memory than it has bytes.
"""

from __future__ import annotations

import math
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeAlias

import torch
from torch import Tensor

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.engine.fields import shown
from emotion2vec_edge.engine.files import open_regular, printable

from .pickled import Call, Global, Reference, read_pickle

WEIGHT_KEYS = ("model", "state_dict", "model_state_dict")
"""Keys under which training checkpoints keep their weights; tried in this order."""

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First value of a file before torch 1.6."""

DTYPES = {
    "torch DoubleStorage": torch.float64, "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16, "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64, "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16, "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8, "torch BoolStorage": torch.bool,
}  # fmt: skip
"""Storage class → type of its values."""

MOST_DIMENSIONS = 8

_REBUILD = "torch._utils _rebuild_"
_DENSE = (f"{_REBUILD}tensor", f"{_REBUILD}tensor_v2")
_PARAMETER = f"{_REBUILD}parameter"


@dataclass(frozen=True)
class _Storage:
    """The values of one or several tensors, in the file."""

    key: str
    dtype: torch.dtype
    count: int
    """Number of values."""

    @property
    def bytes(self) -> int:
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class _View:
    """A dense tensor on a storage."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.size) * self.storage.dtype.itemsize

    @property
    def end(self) -> int:
        """Index behind its last value in the storage."""
        if 0 in self.size:
            return self.offset
        steps = zip(self.size, self.stride, strict=True)
        return self.offset + 1 + sum((size - 1) * stride for size, stride in steps)


ReadStorage: TypeAlias = Callable[[_Storage], bytearray]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of a torch file, executing nothing in it.

    Raises:
        CheckpointError: it is no torch file, is damaged, or holds no mapping from names to dense
            tensors.
    """
    name = printable(str(path))
    try:
        with open_regular(path) as file:
            most = file.seek(0, os.SEEK_END)
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    return _tensors(*_open_archive(archive), most)
            file.seek(0)
            return _tensors(*_open_legacy(file), most)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from None
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, struct.error, RuntimeError, EOFError,
        ValueError, LookupError, TypeError, OverflowError, OSError,
    ) as error:  # fmt: skip
        detail = getattr(error, "strerror", None) or str(error).partition("\n")[0][:200]
        raise CheckpointError(
            f"{name}: not a torch checkpoint, or a damaged one ({detail or type(error).__name__})"
        ) from None


def _open_archive(archive: zipfile.ZipFile) -> tuple[Any, ReadStorage]:
    """The content of a zip archive, and the function that reads its storages."""
    records = {entry.filename: entry for entry in archive.infolist()}
    main = next((record for record in records if record.endswith("/data.pkl")), None)
    if main is None:
        raise ValueError("the archive has no data.pkl")
    folder = main.removesuffix("data.pkl")

    def opened(record: str, size: int | None = None) -> IO[bytes]:
        entry = records[record]
        # torch compresses nothing; a compressed record could unpack to any size.
        if entry.compress_type != zipfile.ZIP_STORED or size not in (None, entry.file_size):
            raise ValueError(f"the record {shown(record)} has another size")
        return archive.open(entry)

    def read_storage(storage: _Storage) -> bytearray:
        with opened(f"{folder}data/{storage.key}", storage.bytes) as file:
            return bytearray(file.read())

    if f"{folder}byteorder" in records:
        with opened(f"{folder}byteorder") as file:
            _check_little(file.read(10) == b"little")
    with opened(main) as file:
        return read_pickle(file).value, read_storage


def _open_legacy(file: BinaryIO) -> tuple[Any, ReadStorage]:
    """The content of a file before torch 1.6, and the function that reads its storages."""
    if read_pickle(file).value != LEGACY_MAGIC:
        raise ValueError("neither a zip archive nor the format before torch 1.6")
    _, machine, content, keys = (read_pickle(file) for _ in range(4))
    _check_little(isinstance(machine.value, dict) and machine.value.get("little_endian") is True)
    storages = {storage.key: storage for storage in map(_storage, content.references)}
    places, place = {}, file.tell()
    for key in keys.value:  # each storage follows its number of values
        places[key] = place
        place += 8 + storages[key].bytes

    def read_storage(storage: _Storage) -> bytearray:
        file.seek(places[storage.key])
        count = int.from_bytes(file.read(8), "little")
        if count != storage.count or storages[storage.key] != storage:
            raise ValueError(f"the storage {shown(storage.key)} has another size")
        return bytearray(file.read(storage.bytes))

    return content.value, read_storage


def _check_little(little_endian: bool) -> None:
    if not little_endian:
        raise CheckpointError("its numbers are not little-endian; save it on another machine")


def _tensors(content: Any, read_storage: ReadStorage, most: int) -> dict[str, Tensor]:
    """The tensors in the content of a file of ``most`` bytes."""
    views = {name: _view(name, call) for name, call in _tensor_calls(content).items()}
    storages = {view.storage for view in views.values()}
    if any(storage.bytes > most for storage in storages):
        raise ValueError("a storage is larger than the file")
    bytes_together = sum(view.bytes for view in views.values())
    if max(bytes_together, sum(storage.bytes for storage in storages)) > most:
        raise CheckpointError("its weights share their memory; save each as a tensor of its own")
    values = {storage: _values(storage, read_storage(storage)) for storage in storages}
    return {
        name: values[view.storage].as_strided(view.size, view.stride, view.offset)
        for name, view in views.items()
    }


def _tensor_calls(content: Any) -> Mapping[str, Call]:
    """The calls that make the weights, by name."""
    for key in WEIGHT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict):
        kind = type(content).__name__ if isinstance(content, list | tuple) else "something else"
        raise CheckpointError(f"holds a {kind}, not a dict of weights")
    calls = {
        name: value
        for name, value in content.items()
        if isinstance(value, Call) and value.function.name.startswith(_REBUILD)
    }
    if not calls:
        names = ", ".join(shown(name, bare=True) for name in list(content)[:8])
        raise CheckpointError(
            f"no weights under any of {', '.join(WEIGHT_KEYS)} or at the top; it holds "
            f"{names or 'nothing'}"
        )
    return calls


def _view(name: str, call: Call) -> _View:
    """The dense tensor that a call would make.

    Raises:
        CheckpointError: it is a tensor of another kind.
        ValueError, TypeError: its description is damaged.
    """
    if call.function.name == _PARAMETER:
        (call,) = call.arguments[:1]
        if not isinstance(call, Call):
            raise TypeError(f"{shown(name)} is no tensor")
    if call.function.name not in _DENSE:
        kind = call.function.name.removeprefix(_REBUILD).replace("_", " ")
        raise CheckpointError(
            f"{shown(name, bare=True)} is of the kind {shown(kind)}; only dense tensors are "
            "supported: convert it with to_dense() or dequantize() before it is saved"
        )
    reference, offset, size, stride = call.arguments[:4]
    storage = _storage(reference)
    if not len(size) == len(stride) <= MOST_DIMENSIONS or any(
        type(number) is not int or number < 0 for number in (offset, *size, *stride)
    ):
        raise ValueError(f"the shape of {shown(name)} cannot be read")
    view = _View(storage, offset, size, stride)
    if view.end > storage.count or view.bytes > storage.bytes:
        raise ValueError(f"{shown(name)} reaches beyond its storage")
    return view


def _storage(reference: Any) -> _Storage:
    if not isinstance(reference, Reference):
        raise TypeError("a tensor without a storage")
    kind, storage_class, key, _location, count = reference.key[:5]
    if kind != "storage" or type(count) is not int or count < 0 or not isinstance(key, str):
        raise ValueError("a storage cannot be read")
    if not isinstance(storage_class, Global) or storage_class.name not in DTYPES:
        name = storage_class.name if isinstance(storage_class, Global) else storage_class
        raise CheckpointError(f"values of the type {shown(name)} are not supported")
    return _Storage(key, DTYPES[storage_class.name], count)


def _values(storage: _Storage, content: bytearray) -> Tensor:
    if not content:
        return torch.empty(0, dtype=storage.dtype)
    if len(content) != storage.bytes:
        raise ValueError(f"the storage {shown(storage.key)} is cut off")
    return torch.frombuffer(content, dtype=storage.dtype)

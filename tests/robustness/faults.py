"""Faults injected into everything that Python does to the files of one folder.

A run is counted first, then repeated with a fault at each of its operations::

    total = len(count(folder, run))
    for at in range(total):
        with Faults(folder, "ENOSPC", at) as faults:
            run()

After each fault a test asks: did the error name the file and belong to the project, is what was
there before whole (or already replaced, whole), is nothing left behind, and does the next run
succeed? :func:`each_fault` yields the faults of such a loop. ``reads=True`` adds the operations
that only read, for the doors that must turn an EIO into an error of theirs.

Not seen here: what a library writes in C (SQLite, ONNX Runtime, torch). A limit on the size of
files (``RLIMIT_FSIZE``) and a real ``kill -9`` reach those.

A killed process is simulated: from the fault on nothing reaches the folder any more, whatever the
code tries to clean up, and :class:`Killed` is raised wherever it tries.
"""

from __future__ import annotations

import builtins
import errno
import functools
import io
import os
import pathlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from emotion2vec_edge.engine import files

Fault = Literal["EIO", "ENOSPC", "EACCES", "EROFS", "short", "kill"]

NAMED = (
    "mkdir", "open", "remove", "rename", "replace", "rmdir", "unlink", "link", "symlink", "truncate"
)  # fmt: skip
"""Functions of ``os`` that change a folder and take a path first."""

OPENED = ("ftruncate", "pwrite", "write")
"""Functions of ``os`` that change a file and take its descriptor first."""

READING = ("pread", "preadv", "read")
"""Functions of ``os`` that read a file and take its descriptor first."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Killed(BaseException):
    """The process is dead; whatever runs on must not reach the disk."""


class Faults:
    """A fault at one operation in a folder, or none. A context manager.

    Args:
        folder: the folder; operations elsewhere pass.
        fault: an error of the system, a write that is cut short, or the death of the process.
        at: number of the operation, from 0; None only counts.
        lasting: the error comes at every operation from there on that needs room on the disk.
        reads: count reading too, and fail there.
    """

    def __init__(
        self,
        folder: Path,
        fault: Fault = "EIO",
        at: int | None = None,
        *,
        lasting: bool = False,
        reads: bool = False,
    ) -> None:
        self.folder = os.path.realpath(folder)
        self.fault = fault
        self.at = at
        self.lasting = lasting
        self.reads = reads
        self.operations: list[str] = []
        """What was done, or tried, in the folder."""
        self.happened = False
        self._saved: list[tuple[Any, str, Any]] = []
        self._lock = threading.RLock()

    def __enter__(self) -> Faults:
        for name in NAMED:
            self._replace(os, name, functools.partial(self._named, name, getattr(os, name)))
        for name in OPENED:
            self._replace(os, name, functools.partial(self._opened, name, getattr(os, name)))
        real = io.open
        for module in (io, builtins):
            self._replace(module, "open", functools.partial(self._open, real))
        for name in READING if self.reads else ():
            self._replace(os, name, functools.partial(self._reading, name, getattr(os, name)))
        self._replace(files, "_exchange", functools.partial(self._exchange, files._exchange))
        # Python 3.10 binds the functions at import.
        accessor = getattr(pathlib, "_NormalAccessor", None)
        for name in (*NAMED, "open"):
            if accessor is not None and hasattr(accessor, name):
                own = io.open if name == "open" else getattr(os, name)
                self._replace(accessor, name, staticmethod(own))
        return self

    def __exit__(self, *_: object) -> None:
        for holder, name, value in reversed(self._saved):
            setattr(holder, name, value)

    @property
    def failed(self) -> str:
        """The operation with the fault, or nothing yet."""
        return self.operations[self.at] if self.happened and self.at is not None else ""

    def write(self, real: Any, content: Any, path: str) -> int:
        """Write bytes with ``real``, or fail."""
        view = memoryview(content).cast("B")
        fault = self._next("write", path, room=True)
        if fault is None:
            return int(real(view))
        if len(view) > 1:
            real(view[: len(view) // 2])
        if fault != "short":
            self._fail(fault, path)
        return max(1, len(view) // 2)

    def read(self, real: Any, path: str, buffer: Any) -> int | None:
        """Read into a buffer with ``real``, or fail."""
        fault = self._next("read", path, room=False)
        if fault is None:
            read: int | None = real(buffer)
            return read
        if fault != "short":
            self._fail(fault, path)
        view = memoryview(buffer).cast("B")
        return int(real(view[: max(1, len(view) // 2)]) or 0)

    def _replace(self, holder: Any, name: str, value: Any) -> None:
        self._saved.append((holder, name, vars(holder)[name]))
        setattr(holder, name, value)

    def _named(self, name: str, real: Any, path: Any, *args: Any, **options: Any) -> Any:
        changes = name != "open" or (args and args[0] & WRITING)
        if changes and not isinstance(path, int):
            if name in ("rename", "replace"):
                target = self._inside(args[0], options.get("dst_dir_fd"))
            else:
                target = self._inside(path, options.get("dir_fd"))
            fault = target and self._next(
                name, target, room=name not in ("remove", "rmdir", "unlink")
            )
            if target and fault and fault != "short":
                self._fail(fault, target)
        return real(path, *args, **options)

    def _opened(self, name: str, real: Any, file: int, *args: Any) -> Any:
        path = self._inside(os.readlink(f"/proc/self/fd/{file}"), None)
        if not path:
            return real(file, *args)
        if name != "ftruncate":
            content, *rest = args
            written: int = self.write(lambda view: real(file, view, *rest), content, path)
            return written
        fault = self._next(name, path, room=False)
        if fault and fault != "short":
            self._fail(fault, path)
        return real(file, *args)

    def _reading(self, name: str, real: Any, file: int, content: Any, *rest: Any) -> Any:
        path = self._inside(os.readlink(f"/proc/self/fd/{file}"), None)
        fault = path and self._next(name, path, room=False)
        if fault and fault != "short":
            self._fail(fault, path)
        if fault and name == "preadv":
            view = memoryview(content[0]).cast("B")
            content = [view[: max(1, len(view) // 2)]]
        elif fault:
            content = max(1, content // 2)
        return real(file, content, *rest)

    def _exchange(self, real: Any, new: Path, target: Path) -> bool:
        """The one change of a folder that is not a function of ``os``."""
        path = self._inside(target, None)
        fault = path and self._next("exchange", path, room=False)
        if fault == "kill":
            raise Killed
        return fault in ("", None, "short") and bool(real(new, target))

    def _open(self, real: Any, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        options |= dict(zip(("buffering", "encoding", "errors", "newline"), args, strict=False))
        path = self._inside(
            os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else file, None
        )
        if path and self.reads and not set(mode) & set("wxa+"):
            return self._open_reading(file, path, mode, options)
        if not path or isinstance(file, int) or not set(mode) & set("wxa+"):
            return real(file, mode, **options)
        fault = self._next("open", path, room=True)
        if fault and fault != "short":
            self._fail(fault, path)
        raw = _FaultyFile(self, path, mode.replace("b", "").replace("t", ""))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return _text(buffered, options)

    def _open_reading(self, file: Any, path: str, mode: str, options: dict[str, Any]) -> Any:
        if not isinstance(file, int):
            fault = self._next("open", path, room=False)
            if fault and fault != "short":
                self._fail(fault, path)
        buffered = io.BufferedReader(_FaultyFile(self, path, "r", file))
        if "b" in mode:
            return buffered
        return _text(buffered, options)

    def _inside(self, path: Any, folder: int | None) -> str:
        """The real path, if it is in the folder; else nothing."""
        text = os.fsdecode(path)
        if folder is not None:
            text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        parent = os.path.realpath(os.path.dirname(os.path.abspath(text)))
        real = os.path.join(parent, os.path.basename(text.rstrip("/")))
        return real if f"{real}/".startswith(f"{self.folder}/") else ""

    def _next(self, operation: str, path: str, *, room: bool) -> Fault | None:
        with self._lock:
            if self.happened and self.fault == "kill":
                raise Killed
            number = len(self.operations)
            self.operations.append(f"{operation} {os.path.relpath(path, self.folder)}")
            if number == self.at or (self.happened and self.lasting and room):
                self.happened = True
                return self.fault
            return None

    def _fail(self, fault: Fault, path: str) -> None:
        if fault == "kill":
            raise Killed
        code = getattr(errno, fault)
        raise OSError(code, os.strerror(code), path)


def _text(file: Any, options: dict[str, Any]) -> io.TextIOWrapper:
    names = ("encoding", "errors", "newline")
    return io.TextIOWrapper(file, **{name: options.get(name) for name in names})


class _FaultyFile(io.FileIO):
    """A file whose writes may fail."""

    def __init__(self, faults: Faults, path: str, mode: str, file: Any = None) -> None:
        self.faults = faults
        self.path = path
        super().__init__(path if file is None else file, mode)

    def readinto(self, buffer: Any, /) -> int | None:
        """Read, or fail."""
        if not self.faults.reads:
            return super().readinto(buffer)
        return self.faults.read(super().readinto, self.path, buffer)

    def read(self, size: int | None = -1, /) -> bytes | None:
        """Read through :meth:`readinto`."""
        return io.RawIOBase.read(self, -1 if size is None else size)

    def readall(self) -> bytes:
        """Read through :meth:`readinto`."""
        return io.RawIOBase.readall(self)

    def write(self, content: Any, /) -> int:
        """Write, or fail."""
        return self.faults.write(super().write, content, self.path)


def count(folder: Path, run: Any, *, reads: bool = False) -> list[str]:
    """The operations in a folder that a run without a fault makes."""
    with Faults(folder, reads=reads) as faults:
        run()
    return faults.operations


def each_fault(
    folder: Path, total: int, kinds: Iterable[Fault] = get_args(Fault), *, reads: bool = False
) -> Iterator[Faults]:
    """A fault of each kind at each of so many operations; each is to be entered once."""
    for kind in kinds:
        for at in range(total):
            yield Faults(folder, kind, at, reads=reads)

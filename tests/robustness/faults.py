"""Faults injected into everything that Python does to the files of one folder.

A run is counted first, then repeated with a fault at each of its operations::

    total = count(folder, run)
    for at in range(total):
        with Faults(folder, "ENOSPC", at) as faults:
            run()

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
from pathlib import Path
from typing import Any, Literal

Fault = Literal["EIO", "ENOSPC", "EACCES", "EROFS", "short", "kill"]

NAMED = (
    "mkdir", "open", "remove", "rename", "replace", "rmdir", "unlink", "link", "symlink", "truncate"
)  # fmt: skip
"""Functions of ``os`` that change a folder and take a path first."""

OPENED = ("ftruncate", "pwrite", "write")
"""Functions of ``os`` that change a file and take its descriptor first."""

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
    """

    def __init__(
        self, folder: Path, fault: Fault = "EIO", at: int | None = None, *, lasting: bool = False
    ) -> None:
        self.folder = os.path.realpath(folder)
        self.fault = fault
        self.at = at
        self.lasting = lasting
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

    def _open(self, real: Any, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        path = "" if isinstance(file, int) else self._inside(file, None)
        if not path or not set(mode) & set("wxa+"):
            return real(file, mode, *args, **options)
        fault = self._next("open", path, room=True)
        if fault and fault != "short":
            self._fail(fault, path)
        raw = _FaultyFile(self, path, mode.replace("b", "").replace("t", ""))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, options.get("encoding"), newline=options.get("newline"))

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


class _FaultyFile(io.FileIO):
    """A file whose writes may fail."""

    def __init__(self, faults: Faults, path: str, mode: str) -> None:
        self.faults = faults
        self.path = path
        super().__init__(path, mode)

    def write(self, content: Any, /) -> int:
        """Write, or fail."""
        return self.faults.write(super().write, content, self.path)


def count(folder: Path, run: Any) -> list[str]:
    """The operations in a folder that a run without a fault makes."""
    with Faults(folder) as faults:
        run()
    return faults.operations

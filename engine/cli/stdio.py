"""Standard streams, made usable in whatever state the process was given them."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any


def prepare_streams() -> None:
    r"""Let each standard stream exist, take any text, and name itself in its errors.

    A closed stream becomes the null device, opened the other way round, so that using it is an
    OSError and no file of ours gets its number. Characters that the encoding of stdout does not
    have are written as ``\uXXXX``. Messages that stderr does not take are lost: that is no reason
    to stop.
    """
    sys.stdin = sys.stdin or _reopened(0, os.O_WRONLY, "r")
    sys.stdout = _output(sys.stdout or _reopened(1, os.O_RDONLY, "w"), _Stdout)
    sys.stderr = _output(sys.stderr or _reopened(2, os.O_WRONLY, "w"), _Stderr)


def write_utf8() -> None:
    """Let stdout be UTF-8 whatever the locale is: formats for programs are."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def flush_stdout(code: int) -> int:
    """Write the text that stdout still holds.

    Returns:
        the exit code: ``code``, or 1 in place of 0 if the text cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        if not code and error.errno != errno.EPIPE:  # a reader that went away wants no more
            sys.stderr.write(f"e2v: {error}\n")
        null = os.open(os.devnull, os.O_WRONLY)  # the interpreter flushes again, and would complain
        os.dup2(null, 1)
        os.close(null)
        return code or 1
    return code


class _Stdout(io.FileIO):
    """Descriptor of stdout."""

    def write(self, content: Any, /) -> Any:
        """Write bytes; an OSError names the stream."""
        try:
            return super().write(content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, "<stdout>") from None


class _Stderr(io.FileIO):
    """Descriptor of stderr."""

    def write(self, content: Any, /) -> Any:
        """Write bytes; those that the system does not take are lost."""
        try:
            return super().write(content)
        except OSError:
            return len(content)


def _reopened(number: int, flags: int, mode: str) -> Any:
    null = os.open(os.devnull, flags)
    if null != number:
        os.dup2(null, number)
        os.close(null)
    return open(number, mode, encoding="utf-8", closefd=False)


def _output(stream: Any, kind: type[io.FileIO]) -> Any:
    """A text stream over the same descriptor; one that is no file, as in a test, stays."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=kind is _Stderr or stream.line_buffering,
        write_through=stream.write_through,
    )

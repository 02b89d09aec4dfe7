"""FFmpeg in a process of its own, where no file can take more than a fixed amount of memory.

A few kB are enough to make FFmpeg's demuxers allocate gigabytes (tables of samples that are not
there, compressed packets), and no option of theirs prevents it. This module runs as a script:
``python -I -S ffmpeg_worker.py SETTINGS``, with a socket as its stdin. It imports nothing of the
package and no numpy, so that it starts in some 60 ms.

Each request on the socket is one byte, ``SEEKABLE``, ``PIPE`` or ``LIVE``, with a descriptor; for a
pipe a second one holds the bytes that were read of it already, and that of a live source holds the
fields of :class:`LiveInput` as JSON. The answers are messages of a kind (one byte), a size (four
bytes) and a content: one ``HEADER``, then ``BLOCK`` after ``BLOCK`` and an ``END``; or a
``FAILURE`` at any point.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import struct
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import av

SEEKABLE, PIPE, LIVE = b"S", b"P", b"L"

HEADER, BLOCK, END, FAILURE = range(4)
"""Contents: JSON of rate, channels and seconds; float32 [frames, channels]; nothing; JSON of the
stage that failed and the reason."""

Stage = Literal["import", "open", "refused", "no audio", "no decoder", "decode", "read"]
"""``refused``: a server answered that there is no such stream, or not for this user."""

MESSAGE = struct.Struct("<BI")

MOST_DAMAGED = 100
"""Packets of a live source in a row that cannot be decoded, after which it is given up."""

IDLE_SECONDS = 10.0
"""Seconds without a request after which the process ends."""


class SeekableFile(io.RawIOBase):
    """A reading of a regular file, with a position of its own and the size that it has now.

    It never raises, because decoders written in C lose the exceptions of their callbacks: a failure
    to read ends the file and is kept. It stays where it is if told to seek before its start, which
    damaged headers make libsndfile do.
    """

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        """Bytes."""
        self.failure: OSError | None = None
        """Error that ended the file early."""
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Position in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position, if there can be one."""
        base = {os.SEEK_CUR: self._position, os.SEEK_END: self.size}.get(whence, 0)
        if base + offset >= 0:
            self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer with the next bytes; fewer only at the end."""
        view = memoryview(buffer).cast("B")[: max(0, self.size - self._position)]
        if not view or self.failure is not None:
            return 0
        try:
            count = os.preadv(self._descriptor, [view], self._position)
        except OSError as error:
            self.failure = error
            return 0
        self._position += count
        return count


class PipeFile:
    """A reading of a pipe: the bytes that were read already, then the rest."""

    def __init__(self, descriptor: int, head: int) -> None:
        self.failure: OSError | None = None
        """Error that ended the pipe early."""
        self._descriptor = descriptor
        self._head = SeekableFile(head)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` of the next bytes; none at the end."""
        if piece := self._head.read(size):
            return piece
        try:
            return os.read(self._descriptor, size)
        except OSError as error:
            self.failure = error
            return b""


class LiveInput:
    """An address or a device that FFmpeg opens by itself, because the user named it.

    Args:
        descriptor: a file that holds the other attributes as JSON.
    """

    failure = None

    def __init__(self, descriptor: int) -> None:
        with open(descriptor, "rb", closefd=False) as file:
            request = json.load(file)
        self.address: str = request["address"]
        self.format: str | None = request["format"]
        """Name of FFmpeg's input device; None for an address."""
        self.options: dict[str, str] = request["options"]
        """FFmpeg's options, of which ``protocol_whitelist`` bounds what is opened."""
        self.timeout: float = request["timeout"]
        """Seconds without an answer, or without audio, after which it is given up."""


class StageError(Exception):
    """A stage of the decoding failed, for a reason."""

    def __init__(self, stage: Stage, reason: str) -> None:
        super().__init__(stage, reason)


def answers(
    file: SeekableFile | PipeFile | LiveInput, block_seconds: float, block_values: int
) -> Iterator[tuple[int, Any]]:
    """Decode the first audio stream of a file: the kinds and contents of all messages.

    Args:
        file: a file at its start.
        block_seconds: as for :func:`block_frames`.
        block_values: as for :func:`block_frames`.
    """
    failure = None
    try:
        yield from _decoded(file, block_seconds, block_values)
    except StageError as error:
        failure = error.args
    except Exception as error:  # noqa: BLE001 - damaged files make PyAV raise nearly anything
        failure = ("decode", _reason(file, error))
    if file.failure is not None:
        failure = ("read", file.failure.strerror or str(file.failure))
    yield (END, b"") if failure is None else (FAILURE, json.dumps(failure).encode())


def _decoded(
    file: SeekableFile | PipeFile | LiveInput, block_seconds: float, block_values: int
) -> Iterator[tuple[int, Any]]:
    import av

    with _opened(file) as (container, seconds):
        stream = container.streams.audio[0]
        stream.codec_context.thread_count = 1  # threads take memory of their own
        rate, channels = stream.rate or 0, stream.channels or 0
        yield HEADER, json.dumps([rate, channels, seconds]).encode()
        size = 4 * channels * block_frames(rate, channels, block_seconds, block_values)
        resampler = av.AudioResampler(format="flt", layout=stream.layout, rate=rate)
        waiting: list[bytes] = []  # a frame of a codec is some 20 ms
        frames = _live_frames if isinstance(file, LiveInput) else _frames
        for frame in frames(container, stream):
            for packed in resampler.resample(frame):
                content = memoryview(packed.planes[0])[: 4 * channels * packed.samples]
                if len(content) < size:
                    waiting.append(bytes(content))
                    continue
                if waiting:
                    yield BLOCK, b"".join(waiting)
                    waiting.clear()
                for start in range(0, len(content), size):
                    yield BLOCK, content[start : start + size]
            if sum(map(len, waiting)) >= size:
                yield BLOCK, b"".join(waiting)
                waiting.clear()
        if waiting:
            yield BLOCK, b"".join(waiting)


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream
) -> Iterator[av.AudioFrame]:
    """The decoded frames of a stream, in order."""
    # PyAV's end of a file in which a stream began after it was opened (FLV, MPEG-TS, SWF), once
    # the streams before that one were given to their end.
    with contextlib.suppress(IndexError):
        yield from container.decode(stream)


def _live_frames(
    container: av.container.InputContainer, stream: av.AudioStream
) -> Iterator[av.AudioFrame]:
    """The same of a live source, which may begin within a frame and lose packets."""
    import av

    damaged = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            damaged += 1
            if damaged > MOST_DAMAGED:
                raise
            continue
        damaged = 0
        yield from frames


def block_frames(rate: int, channels: int, block_seconds: float, block_values: int) -> int:
    """Frames of a block: a number of seconds, unless they hold too many values."""
    return max(1, min(int(block_seconds * rate), block_values // max(1, channels)))


@contextlib.contextmanager
def _opened(
    file: SeekableFile | PipeFile | LiveInput,
) -> Iterator[tuple[av.container.InputContainer, float | None]]:
    """An open container whose audio can be decoded, and the seconds that its header states."""
    try:
        import av
        import av.logging
    except ImportError as error:
        raise StageError("import", str(error)) from None
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as log:
            container = _container(file)
    except Exception as error:  # noqa: BLE001 - damaged files make PyAV raise nearly anything
        refused = isinstance(error, av.error.HTTPClientError)
        raise StageError("refused" if refused else "open", _reason(file, error)) from None
    finally:
        av.logging.set_level(av.logging.PANIC)
    with container:
        if not container.streams.audio:
            raise StageError("no audio", container.format.long_name or container.format.name)
        stream = container.streams.audio[0]
        if not getattr(stream, "codec_context", None):
            raise StageError("no decoder", "audio in a codec that FFmpeg has no decoder for")
        # An estimate is off by several percent, or by anything.
        estimated = any("Estimating duration" in text for _, _, text in log)
        seconds = None
        if isinstance(file, LiveInput):
            seconds = container.duration / av.time_base if container.duration else None
        elif stream.duration and stream.time_base and not estimated:
            seconds = float(stream.duration * stream.time_base)
        yield container, seconds


def _container(file: SeekableFile | PipeFile | LiveInput) -> Any:
    import av

    lenient = _lenient(av.__version__)
    if isinstance(file, LiveInput):
        # PyAV's wheels bring an ALSA that looks for its settings where it was built.
        os.environ.setdefault("ALSA_CONFIG_PATH", "/usr/share/alsa/alsa.conf")
        return av.open(
            file.address, "r", format=file.format, options=file.options, timeout=file.timeout,
            **lenient,
        )  # fmt: skip
    # A playlist or a reference inside a file must not make us open other files or URLs.
    return av.open(file, "r", options={"protocol_whitelist": "none"}, **lenient)


def _lenient(version: str) -> dict[str, Any]:
    """Arguments of PyAV that let metadata pass which is not UTF-8; version 19 always does."""
    return {} if int(version.split(".", maxsplit=1)[0]) >= 19 else {"metadata_errors": "ignore"}


def reason_of(error: BaseException) -> str:
    """The words of the error, or its type if it has none, in one line."""
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")[:200]


def _reason(file: SeekableFile | PipeFile | LiveInput, error: Exception) -> str:
    """The words of an error; of a live input without the address, which may hold a password."""
    import av

    if not isinstance(file, LiveInput):
        if isinstance(error, av.error.FFmpegError) and error.strerror:
            return reason_of(Exception(error.strerror))  # without FFmpeg's number and file name
        return reason_of(error)
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {file.timeout:g} s"
    words = [getattr(error, "strerror", None) or type(error).__name__]
    log = getattr(error, "log", None)
    if log and (file.format is not None or getattr(error, "errno", 0) == errno.EIO):
        words.append(log[2])  # a certificate that is not trusted, a device that is not there
    return reason_of(Exception(": ".join(words)))


def main() -> None:
    """Serve requests until the other side closes the socket, or none came for a while."""
    import resource  # neither is needed by the readers that take this module for its files
    import socket

    settings = json.loads(sys.argv[1])
    sys.path.append(settings["path"])
    _limit(resource.RLIMIT_AS, settings["memory"])
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    bounds = settings["block_seconds"], settings["block_values"]
    with (
        socket.socket(fileno=sys.stdin.fileno()) as connection,
        contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError),
    ):
        while True:
            connection.settimeout(IDLE_SECONDS)
            kind, descriptors, _, _ = socket.recv_fds(connection, 1, 2)
            connection.settimeout(None)
            if not kind:
                return
            kinds: dict[bytes, Any] = {SEEKABLE: SeekableFile, PIPE: PipeFile, LIVE: LiveInput}
            file = kinds[kind](*descriptors)
            for message, content in answers(file, *bounds):
                connection.sendall(MESSAGE.pack(message, len(content)))
                connection.sendall(content)
            for descriptor in descriptors:
                os.close(descriptor)


def _limit(kind: int, most: int) -> None:
    import resource

    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()

"""FFmpeg, in worker processes that take no more than a fixed amount of memory.

A worker decodes one file at a time, is kept for the next one, and ends by itself if none comes. Its
own side is :mod:`.ffmpeg_worker`.
"""

from __future__ import annotations

import atexit
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    AudioError,
    AudioNotFoundError,
    AudioReadError,
    NoAudioStreamError,
    UndecodableAudioError,
)
from . import ffmpeg_worker as wire
from .readers import BLOCK_SECONDS, BLOCK_VALUES, SLACK_SECONDS, DecodingError, FileReader
from .riff import promised_frames
from .sources import Source
from .types import DecoderName

MEMORY_BYTES = 600 << 20
"""Address space of a worker. Python and FFmpeg take 120 MB of it, the index of a day of AAC too."""

SILENT_SECONDS = 60.0
"""Time without an answer about a regular file after which a worker is given up."""

MOST_IDLE = 4
"""Workers that are kept for the next file."""

LIVE_BLOCK_SECONDS = 0.1
"""Seconds of a block of live audio."""

MOST_MESSAGE_BYTES = 64 << 20

SLACK_SHARE = 0.02
"""The same as a share of the length, because containers round or estimate it."""


class WorkerEndedError(DecodingError):
    """A worker ended without an answer."""


class Worker:
    """A process that runs FFmpeg.

    Args:
        block_seconds: seconds of audio in one message.

    Raises:
        DecodingError: PyAV is not installed, or no process can be started.
    """

    def __init__(self, block_seconds: float = BLOCK_SECONDS) -> None:
        self.owner = os.getpid()
        """The process that started it; a fork of that must not use it."""
        found = importlib.util.find_spec("av")
        if found is None or found.origin is None:
            raise DecodingError("it is not installed; pip install av")
        settings = {
            "path": str(Path(found.origin).parent.parent),
            "memory": MEMORY_BYTES,
            "block_seconds": block_seconds,
            "block_values": BLOCK_VALUES,
        }
        self._socket, theirs = socket.socketpair()
        try:
            # Isolated, because the folder of the script has a types.py; in a session of its own,
            # because Ctrl-C is for the process that started it; without our variables, because
            # some of them hold passwords.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", wire.__file__, json.dumps(settings)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={key: value for key, value in os.environ.items() if not key.startswith("E2V_")},
            )
        except OSError as error:
            self._socket.close()
            raise DecodingError(f"its process cannot be started: {error}") from error
        finally:
            theirs.close()
        self._answers = self._socket.makefile("rb")

    def request(self, source: Source) -> None:
        """Hand over a file.

        Raises:
            WorkerEndedError: the process has ended.
        """
        self._send(wire.SEEKABLE if source.seekable else wire.PIPE, source.descriptors)

    def request_live(
        self, address: str, format_: str | None, options: Mapping[str, str], timeout: float
    ) -> None:
        """Let FFmpeg open an address or a device that the user named.

        Args:
            address: URL, or name of a device. It goes through a file in memory, so that no list of
                processes shows its password.
            format_: FFmpeg's name for a kind of devices; None for a URL.
            options: FFmpeg's options; ``protocol_whitelist`` bounds what is opened.
            timeout: seconds without an answer, or without audio, after which it is given up.

        Raises:
            WorkerEndedError: the process has ended.
        """
        fields = {
            "address": address, "format": format_, "options": dict(options), "timeout": timeout
        }  # fmt: skip
        with io.FileIO(os.memfd_create("address"), "r+") as file:
            file.write(json.dumps(fields).encode())
            file.seek(0)
            self._send(wire.LIVE, [file.fileno()])

    def _send(self, kind: bytes, descriptors: list[int]) -> None:
        try:
            socket.send_fds(self._socket, [kind], descriptors)
        except OSError as error:
            raise WorkerEndedError(f"its process ended: {error}") from error

    def receive(self, timeout: float | None) -> tuple[int, bytes]:
        """Wait for a message: its kind and content.

        Raises:
            WorkerEndedError: the process has ended.
            DecodingError: nothing came in ``timeout`` seconds.
        """
        self._socket.settimeout(timeout)
        try:
            start = self._answers.read(wire.MESSAGE.size)
            kind, size = wire.MESSAGE.unpack(start) if len(start) == wire.MESSAGE.size else (0, -1)
            content = self._answers.read(size) if 0 <= size <= MOST_MESSAGE_BYTES else b""
        except TimeoutError as error:
            raise DecodingError(f"nothing came of it for {timeout:g} s") from error
        except OSError as error:
            raise WorkerEndedError(f"its process ended: {error}") from error
        if len(content) != size:
            raise WorkerEndedError("its process ended")
        return kind, content

    def interrupt(self) -> None:
        """End the process from another thread than the one that receives, which is told so."""
        self._process.kill()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._socket.close()


class _Pool:
    """The workers that have nothing to do. For any number of threads."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._registered = False

    def take(self) -> Worker | None:
        """A worker that may have ended meanwhile; None if there is none."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.owner == os.getpid():
                    return worker
        return None

    def give(self, worker: Worker) -> None:
        """Keep a worker that has answered its last request to the end."""
        with self._lock:
            if not self._registered:
                atexit.register(self.clear)
                self._registered = True
            if len(self._idle) < MOST_IDLE:
                self._idle.append(worker)
                return
        worker.end()

    def clear(self) -> None:
        """End all processes that wait."""
        while (worker := self.take()) is not None:
            worker.end()


WORKERS = _Pool()


class FFmpegReader(FileReader):
    """The first audio stream of a file that FFmpeg decodes.

    Args:
        source: the file or pipe.
        pipe_block_seconds: seconds of a block of a pipe.

    Raises:
        AudioReadError: the operating system fails to read the file.
        DecodingError: FFmpeg cannot open it.
        NoAudioStreamError, UndecodableAudioError: it has no audio, or in an unknown codec.
    """

    decoder: DecoderName = "ffmpeg"

    def __init__(self, source: Source, pipe_block_seconds: float = BLOCK_SECONDS) -> None:
        self._source = source
        self._pipe_block_seconds = pipe_block_seconds
        self._worker: Worker | None = None
        try:
            rate, channels, promised = json.loads(self._begin())
        except BaseException:
            self.close()
            raise
        if promised is None and not source.seekable and rate:
            # FFmpeg knows no length of a WAV that it cannot seek in.
            frames = promised_frames(source.open())
            promised = frames / rate if frames else None
        slack_seconds = max(SLACK_SECONDS, SLACK_SHARE * (promised or 0))
        super().__init__(source.name, rate, channels, promised, slack_seconds)

    def close(self) -> None:
        """As :meth:`Reader.close`."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _begin(self) -> bytes:
        """Hand the file to a worker; the content of its first message."""
        # A pipe is not for a worker that may have ended: what that reads of it would be lost.
        idle = WORKERS.take() if self._source.seekable else None
        if idle is not None:
            self._worker = idle
            try:
                return self._answer(idle)
            except WorkerEndedError:
                self.close()
        seconds = BLOCK_SECONDS if self._source.seekable else self._pipe_block_seconds
        self._worker = Worker(seconds)
        return self._answer(self._worker)

    def _answer(self, worker: Worker) -> bytes:
        worker.request(self._source)
        kind, content = self._receive(worker)
        if kind != wire.HEADER:
            raise WorkerEndedError("its process answered out of turn")
        return content

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        while self._worker is not None:
            kind, content = self._receive(self._worker)
            if kind == wire.END:
                self._release(self._worker)
                return
            yield np.frombuffer(content, np.float32).reshape(-1, self.channels)

    def _receive(self, worker: Worker) -> tuple[int, bytes]:
        kind, content = worker.receive(SILENT_SECONDS if self._source.seekable else None)
        self._source.check()
        if kind == wire.FAILURE:
            self._release(worker)
            raise failure(self._source.name, *json.loads(content))
        return kind, content

    def _release(self, worker: Worker) -> None:
        if self._source.seekable or self._pipe_block_seconds == BLOCK_SECONDS:
            self._worker = None
            WORKERS.give(worker)
        else:
            self.close()


def failure(name: str, stage: wire.Stage, reason: str) -> AudioError | DecodingError:
    """Make the exception for a failure that a worker reports."""
    if stage == "refused":
        return AudioNotFoundError(f"{name}: {reason}")
    if stage == "read":
        return AudioReadError(f"{name}: cannot be read: {reason}")
    if stage == "no audio":
        return NoAudioStreamError(f"{name}: {reason} without an audio stream")
    if stage == "no decoder":
        return UndecodableAudioError(f"{name}: {reason}")
    return DecodingError(reason)

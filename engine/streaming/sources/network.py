"""Live audio that FFmpeg opens by itself: addresses and sound devices that the user names.

FFmpeg runs in a worker process, as for files, and each connection has one of its own. What it may
open is bounded by the kind of the address: a playlist that comes over HTTP opens no files.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from ...audio import ffmpeg_worker as wire
from ...audio.convert import Converter
from ...audio.ffmpeg import LIVE_BLOCK_SECONDS, Worker, failure
from ...audio.readers import DecodingError, Reader, check_header
from ...audio.types import Samples
from ...display import redacted
from ...errors import AudioReadError, OptionError
from ...settings import SourceSettings

PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,udp,tcp,tls",
    "http": "http,https,httpproxy,tcp,tls,crypto",
    "https": "https,httpproxy,tcp,tls,crypto",
}
"""Scheme of an address → FFmpeg's protocols that it may open; HTTPS never falls back to HTTP."""

DEVICES = ("alsa",)
"""Kinds of devices that FFmpeg opens, before a colon and their name."""

SILENT_SECONDS = 10.0
"""Seconds without an answer, or without audio, after which a connection is given up."""

PATIENCE_SECONDS = 5.0
"""Seconds more that the worker process has, to say so."""


@dataclass(frozen=True)
class LiveAddress:
    """An address or a device that FFmpeg opens."""

    name: str
    """The address without secrets, for messages."""
    address: str = field(repr=False)
    format: str | None
    """FFmpeg's name for a kind of devices; None for an address."""
    options: Mapping[str, str] = field(repr=False)


def parse_address(source: str, settings: SourceSettings) -> LiveAddress | None:
    """Read the source as an address or the name of a device.

    Returns:
        the address, or None for anything else, such as a path.

    Raises:
        OptionError: a scheme that is not opened, or an address that has to be quoted.
    """
    device, colon, name = source.partition(":")
    if device in DEVICES and colon and name:
        options = {"channels": str(settings.channels)}
        if settings.rate is not None:
            options["sample_rate"] = str(settings.rate)
        return LiveAddress(source, name, device, {**options, **settings.options})
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?", source)
    if found is None or not (found[2] or found[1].lower() in PROTOCOLS):
        return None
    scheme = found[1].lower()
    if scheme not in PROTOCOLS:
        raise OptionError(
            f"{scheme}:// is not opened; give {', '.join(PROTOCOLS)}, or pipe the sound in: "
            f"ffmpeg -i … -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000"
        )
    if not _is_address(source):
        raise OptionError(
            f"the source is no address that can be opened: {scheme}://[user:password@]host[:port]"
            "/path, with spaces, quotes and other special characters of user and password in "
            "percent-encoding (a space is %20)"
        )
    options = {}
    if scheme.startswith("rtsp"):
        options = {"allowed_media_types": "audio", "rtsp_transport": "tcp"}
    if scheme in ("https", "rtsps"):
        options["tls_verify"] = "1"
        if authorities := ssl.get_default_verify_paths().cafile:
            options["ca_file"] = authorities
    # The user's options come last, but for the one that bounds what is opened.
    allowed = {**options, **settings.options, "protocol_whitelist": PROTOCOLS[scheme]}
    return LiveAddress(redacted(source), source, None, allowed)


def _is_address(source: str) -> bool:
    try:
        parts = urlsplit(source)
        port = parts.port
    except ValueError:  # a port that is no number
        return False
    return bool(parts.hostname) and port != 0 and not re.search(r"[\s'\"\x00-\x1f]", source)


class LiveReader(Reader):
    """One connection.

    Args:
        address: what is opened.
        worker: process that opens it.

    Raises:
        AudioNotFoundError: a server refuses it.
        NoAudioStreamError, UndecodableAudioError: it has no audio, or in an unknown codec.
        AudioReadError: it cannot be opened, for any other reason.
    """

    decoder = "ffmpeg"

    def __init__(self, address: LiveAddress, worker: Worker) -> None:
        self._worker = worker
        with _reported(address.name):
            worker.request_live(address.address, address.format, address.options, SILENT_SECONDS)
            _, content = self._receive(address.name)
        rate, channels, seconds = json.loads(content)
        if not rate or not channels:  # a playlist none of whose parts could be opened
            raise AudioReadError(f"{address.name}: no audio could be opened")
        super().__init__(address.name, rate, channels, seconds)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """As :meth:`Reader.blocks`, of a tenth of a second each."""
        with _reported(self.name):
            while True:
                kind, content = self._receive(self.name)
                if kind == wire.END:
                    return
                yield np.frombuffer(content, np.float32).reshape(-1, self.channels)

    def close(self) -> None:
        """As :meth:`Reader.close`."""
        self._worker.end()

    def _receive(self, name: str) -> tuple[int, bytes]:
        kind, content = self._worker.receive(SILENT_SECONDS + PATIENCE_SECONDS)
        if kind == wire.FAILURE:
            stage, reason = json.loads(content)
            raise failure(name, stage, redacted(reason))
        return kind, content


@contextlib.contextmanager
def _reported(name: str) -> Iterator[None]:
    """Turns the failure of a worker into an AudioReadError that names the source."""
    try:
        yield
    except DecodingError as error:
        raise AudioReadError(f"{name}: {error}") from None


class NetworkSource:
    """An address or a device, opened anew for each connection.

    Args:
        address: what FFmpeg opens.
        channel: channel to take, from 0; None takes the mean of all.
    """

    def __init__(self, address: LiveAddress, channel: int | None) -> None:
        self.name = address.name
        self.endless = True
        """False once a connection said how long its audio is: that of a file on a server."""
        self._address = address
        self._channel = channel
        self._worker: Worker | None = None
        self._closed = False

    def connect(self) -> Iterator[Samples]:
        """Open it: mono at 16 kHz in blocks, to the end of the connection.

        Raises:
            AudioError: as :class:`LiveReader`; or the channel is not there.
        """
        with _reported(self.name):
            self._worker = worker = Worker(LIVE_BLOCK_SECONDS)
        with contextlib.ExitStack() as stack:
            stack.callback(worker.end)
            if self._closed:
                return
            reader = LiveReader(self._address, worker)
            check_header(reader, self._channel)
            self.endless = reader.promised_seconds is None
            converter = Converter(self.name, reader.rate, self._channel)
            for block in reader.blocks():
                yield converter.feed(block)
            yield converter.flush()

    def close(self) -> None:
        """End the present connection."""
        self._closed = True
        if self._worker is not None:
            self._worker.interrupt()

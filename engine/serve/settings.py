"""Settings of the service: their defaults and limits. Nothing heavy is imported here."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import OptionError
from ..files import read_regular
from ..settings import LEAST_RECORDING, ModelSettings, check_seconds

HOST = "127.0.0.1"
PORT = 7860
UPLOAD_MB = 200
"""Megabytes of the largest request."""
SPOOL_MB = 1024
"""Megabytes of all recordings together that wait on the disk."""
QUEUE = 16
"""Requests that wait for a thread."""
DECODE_WORKERS = 2
"""Threads that decode recordings and wait for the model."""
SESSIONS = 16
"""Live sessions at the same time."""
KEEP_MINUTES = 60.0
"""Minutes that the result of a job is kept."""
JOBS = 64
"""Jobs that are kept, waiting and done together."""
GRACE_SECONDS = 10.0
"""Seconds that running work has to end, when the service ends."""

MOST_FILES = 100
"""Recordings in one request."""
MOST_COMPARED = 5_000
"""Embeddings in one comparison."""
MOST_FOUND = 1_000
"""Recordings of a store that one search finds."""
MOST_PEAKS = 4_000
"""Pairs of the outline of a waveform."""
BUDGET_SECONDS = 120.0
"""Least seconds that a request may take, from its arrival."""
BUDGET_FACTOR = 2.0
"""Seconds that a request may take for each second of its audio."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Names of this machine that a browser may send as ``Host``."""

TOKEN = re.compile(r"[A-Za-z0-9._~+-]{16,512}")
"""Characters that a header and a WebSocket subprotocol may hold."""

HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
"""A name or an address of a host, without a port."""

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d+)?")
"""An origin as browsers send it."""

MOST_TOKEN_FILE = 4096


def is_loopback(host: str) -> bool:
    """True if an address to listen at is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """The token in a file: one line.

    Raises:
        OptionError: the file cannot be read, or holds no token.
    """
    try:
        token = read_regular(path, MOST_TOKEN_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not plain text"
        raise OptionError(f"{path}: the token cannot be read: {reason}") from None
    if not TOKEN.fullmatch(token):
        raise OptionError(
            f"{path}: a token has 16 to 512 letters, digits and characters of ._~+-; "
            "make one with: openssl rand -hex 32"
        )
    return token


@dataclass(frozen=True)
class ServeSettings:
    """All settings of the service.

    Raises:
        OptionError: a value is out of range, or another address than loopback without a token.
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    host: str = HOST
    """Address to listen at."""
    port: int = PORT
    """Port to listen at; 0 takes a free one."""
    token: str | None = field(default=None, repr=False)
    """Token that every request must bring; None lets everybody in who reaches the address."""
    certificate: Path | None = None
    """File with the TLS certificate."""
    key: Path | None = None
    """File with the key of the certificate."""
    allow_hosts: tuple[str, ...] = ()
    """Names of this service, besides those of loopback, that a ``Host`` header may give."""
    allow_origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may use the service."""
    upload_bytes: int = UPLOAD_MB * 1_000_000
    """Bytes of the largest request."""
    spool_bytes: int = SPOOL_MB * 1_000_000
    """Bytes of all recordings together that wait on the disk."""
    spool: Path | None = None
    """Folder for recordings that wait; None takes the system's temporary folder."""
    max_seconds: float | None = None
    """Seconds of the longest recording that is taken; None takes any."""
    queue: int = QUEUE
    """Requests that wait for a thread; more are refused."""
    decode_workers: int = DECODE_WORKERS
    """Threads that decode recordings and wait for the model."""
    sessions: int = SESSIONS
    """Live sessions at the same time."""
    jobs: int = JOBS
    """Jobs that are kept, waiting and done together."""
    keep_minutes: float = KEEP_MINUTES
    """Minutes that the result of a job is kept."""
    jobs_folder: Path | None = None
    """Folder for the results of jobs; None keeps them in memory."""
    grace: float = GRACE_SECONDS
    """Seconds that running work has to end, when the service ends."""
    feedback: Path | None = None
    """Store for corrected answers; None takes none."""
    store: Path | None = None
    """Store of embeddings to search and to draw, read once at the start; None has none."""
    page: bool = True
    """True to serve the page."""

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise OptionError(
                f"{self.host} is reached from other machines, and there is no token: give "
                "--token-file, or listen at 127.0.0.1"
            )
        if (self.certificate is None) != (self.key is None):
            raise OptionError("TLS needs both --ssl-certfile and --ssl-keyfile")
        for name, value, least in (
            ("queue", self.queue, 1),
            ("workers-decode", self.decode_workers, 1),
            ("sessions", self.sessions, 0),
            ("jobs", self.jobs, 0),
            ("max-upload-mb", self.upload_bytes, 1),
            ("spool-mb", self.spool_bytes, 1),
        ):
            if value < least:
                raise OptionError(f"{name} is {value}; give at least {least}")
        if not 0 <= self.port <= 65_535:
            raise OptionError(f"port is {self.port}; give 0 to 65535")
        if self.spool is not None and not os.access(self.spool, os.R_OK | os.W_OK | os.X_OK):
            raise OptionError(f"{self.spool}: recordings cannot wait there; give a folder of yours")
        self._check_names()
        if self.max_seconds is not None:
            check_seconds("max-seconds", self.max_seconds, LEAST_RECORDING)
        check_seconds("a grace period", self.grace, 0)
        check_seconds("keep-minutes", self.keep_minutes, 0)

    def _check_names(self) -> None:
        """Refuse a host or an origin that no browser sends, and that would allow nothing."""
        for name in self.allow_hosts:
            if not HOST_NAME.fullmatch(name):
                raise OptionError(f"allow-host is {name!r}; give a name alone: box.example")
        for origin in self.allow_origins:
            if not ORIGIN.fullmatch(origin):
                raise OptionError(
                    f"allow-origin is {origin!r}; give scheme, host and port, if it has one, in "
                    "small letters and without a path: https://example.org"
                )

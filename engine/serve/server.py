"""The process of the service: its socket, its signals and its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import OptionError, OutputError
from .app import make_app
from .monitoring import LOGGER, log
from .service import Service
from .settings import ServeSettings

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

MOST_FRAME = 16 << 20
"""Bytes of one message of a WebSocket that are read; a larger one cuts the connection."""

KEEP_ALIVE_SECONDS = 30
"""Seconds that a connection may stay open before a request, or between two, until the head of the
next one has come."""

BACKLOG = 256

FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of a connection for which the process or the system has no room; it waits, and is taken
later."""
FULL_SECONDS = 30.0
"""Seconds between two lines of the log about such connections."""


def open_socket(settings: ServeSettings) -> socket.socket:
    """A socket that listens at the address of the settings.

    Raises:
        OptionError: there is no such address.
        OutputError: the port is taken, or is not ours to take.
    """
    address = f"{settings.host} port {settings.port}"
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG
        )
    except (socket.gaierror, UnicodeError) as error:
        raise OptionError(f"{address}: no such address: {error}") from None
    except OSError as error:
        advice = ""
        if error.errno == errno.EADDRINUSE:
            advice = "; another program listens there: give another --port, or 0 for a free one"
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(f"cannot listen at {address}: {reason}{advice}") from None
    # Connections inherit it. Without it, the body of an answer waits 40 ms for the client to
    # acknowledge the headers; asyncio sets it only for sockets that were made with their protocol.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(listening: socket.socket, settings: ServeSettings) -> str:
    """The URL of the service."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if settings.certificate is None else "https"
    return f"{scheme}://{host}:{listening.getsockname()[1]}/"


class Connection(H11Protocol):
    """Closes if the head of a request does not come in time, also if it comes by the byte.

    uvicorn waits for the first request, and for the rest of a head, without an end; anybody could
    take up all connections, since no token has been asked for by then.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time in which the first request has to come."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time in which a request has to come."""
        self._patience.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start the time in which the next request has to come."""
        self._patience.cancel()
        self._await_request()
        super().on_response_complete()

    def _await_request(self) -> None:
        self._patience = self.loop.call_later(KEEP_ALIVE_SECONDS, self._give_up, self.cycle)

    def _give_up(self, last: object) -> None:
        """Close, if there was no request since the last one, and no WebSocket."""
        if self.cycle is last and self.transport.get_protocol() is self:
            self.timeout_keep_alive_handler()


class LoopErrors:
    """Handler of the loop's errors, which tells once in a while that there is no room."""

    def __init__(self) -> None:
        self._told = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take an error of the loop, as :meth:`asyncio.loop.set_exception_handler` gives it."""
        error, message = context.get("exception"), context.get("message", "")
        accepting = "accept" in message
        if isinstance(error, ValueError) and "_start_serving" in message:
            return  # asyncio tries to accept again, of a server that was closed meanwhile
        if not (accepting and isinstance(error, OSError) and error.errno in FULL):
            loop.default_exception_handler(context)
        elif time.monotonic() - self._told >= FULL_SECONDS:
            self._told = time.monotonic()
            LOGGER.error("connections wait: %s", error.strerror)


class Server(uvicorn.Server):
    """Ends within the grace period: no new work, running work goes on, sockets are told.

    Args:
        config: uvicorn's own settings.
        service: what it serves.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        await super().startup(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at the first signal, at once at the second; the process then ends with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in SIGNALS
            if signal.getsignal(number) != signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End, or end at once."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running work end within the grace period."""
        log("ending", grace=self.service.settings.grace)
        self.service.draining.set()
        await asyncio.sleep(0.1)  # sessions close their sockets with 1001
        await super().shutdown(sockets)


def serve(
    settings: ServeSettings,
    *,
    preload: bool = False,
    ready: Callable[[str], Any] = lambda _: None,
) -> None:
    """Serve until a signal comes.

    Args:
        settings: all settings.
        preload: load the model, and run it, before the first request.
        ready: receives the URL when requests are taken.

    Raises:
        OptionError, OutputError, ModelError, ProviderError: it cannot begin.
    """
    with open_socket(settings) as listening:
        service = Service(settings)
        try:
            server = make_server(service)
            if preload:
                service.recognizer().warm_up()
            ready(address_of(listening, settings))
            server.run(sockets=[listening])
        finally:
            closed = service.close()
    log("ended")
    if not closed:  # a decoder that hangs would hold the process, which waits for its threads
        sys.stderr.flush()
        os._exit(0)


def make_server(service: Service) -> Server:
    """The server of a service, which does not listen yet.

    Raises:
        OptionError: the certificate or its key cannot be used.
    """
    settings = service.settings
    config = uvicorn.Config(
        make_app(service),
        http=Connection,  # h11 reads on, and drops, what comes of a body after an early answer
        ws="websockets-sansio",  # the default of uvicorn's older versions is deprecated
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        proxy_headers=False,
        ws_max_size=MOST_FRAME,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=settings.grace,  # type: ignore[arg-type]
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    try:
        config.load()
    except OSError as error:  # of ssl
        raise OptionError(
            f"the certificate and its key cannot be used: {error.strerror or error}"
        ) from None
    return Server(config, service)

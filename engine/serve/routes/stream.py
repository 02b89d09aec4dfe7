"""``/v1/audio/emotions/stream``: live audio over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from ...errors import (
    AudioError,
    E2VError,
    MalformedRequestError,
    OptionError,
    OverloadedError,
    RequestTooLargeError,
)
from ...streaming.events import StreamEvent
from ...streaming.stream import StreamWindow
from ...version import __version__
from ..answers import problems
from ..inference.work import Priority, Work
from ..live import LiveOptions, LiveSession, Totals
from ..monitoring import LOGGER, log
from ..security import SUBPROTOCOL, subprotocols
from ..service import Service

GOING_AWAY, INVALID, POLICY, TOO_LARGE, INTERNAL, TRY_LATER = 1001, 1007, 1008, 1009, 1011, 1013
"""Close codes: the service ends, samples that are no sound, a message that is none, one that is too
large, a failure, and no room."""

MOST_FRAME = 4 << 20
"""Bytes of a binary message."""

MOST_MESSAGE = 1 << 16
"""Characters of a text message."""

SEND_SECONDS = 30.0
"""Seconds that a client may leave a message unread, while those after it wait in memory."""

PAUSE_SECONDS = 0.02
"""Seconds between two looks at a buffer that is full."""


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter()
    open_sessions: set[str] = set()

    @routes.websocket("/v1/audio/emotions/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept(subprotocol=_subprotocol(socket))
        number = uuid.uuid4().hex
        if len(open_sessions) >= service.settings.sessions:
            await _refuse(service, socket)
            return
        open_sessions.add(number)
        service.metrics.sessions.set(len(open_sessions))
        try:
            await _Session(service, socket, number).run()
        finally:
            open_sessions.discard(number)
            service.metrics.sessions.set(len(open_sessions))

    return routes


def _subprotocol(socket: WebSocket) -> str | None:
    """The subprotocol that is agreed on: the token's own only if there is no other."""
    offered = subprotocols(socket.headers)
    plain = [name for name in offered if not name.startswith(SUBPROTOCOL)]
    return next(iter([*plain, *offered]), None)


async def _refuse(service: Service, socket: WebSocket) -> None:
    service.metrics.rejections.labels("OverloadedError").inc()
    reason = f"{service.settings.sessions} sessions are open already"
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(TRY_LATER, reason)


def _close_code(error: E2VError) -> int:
    """The close code of a session that an error ends."""
    if isinstance(error, AudioError):
        return INVALID
    if isinstance(error, MalformedRequestError):
        return POLICY
    if isinstance(error, RequestTooLargeError):
        return TOO_LARGE
    return TRY_LATER if isinstance(error, OverloadedError) else INTERNAL


class _Session:
    """The conversation with one client."""

    def __init__(self, service: Service, socket: WebSocket, number: str) -> None:
        self.service = service
        self.socket = socket
        self.number = number
        self.options = LiveOptions.model_validate({})
        self.session: LiveSession | None = None
        """The session; None until the first audio."""
        self.work = Work(Priority.LIVE, budget=False)
        self.computing: asyncio.Task[None] | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets the error that ends the computing early."""

    async def run(self) -> None:
        """Serve the client until it ends, goes away, or the service ends."""
        reading = asyncio.ensure_future(self._read())
        ending = asyncio.ensure_future(self.service.draining.wait())
        code: int | None = 1000
        reason = ""
        try:
            code = await self._converse(reading, ending)
        except WebSocketDisconnect:
            code = None
        except E2VError as error:
            code, reason = _close_code(error), type(error).__name__
            await self._tell(error)
        except Exception as error:  # noqa: BLE001 - a session that fails takes no other with it
            LOGGER.exception("session failed")
            code, reason = INTERNAL, "internal error"
            await self._tell(error)
        finally:
            await self._stop(reading, ending)
        if code is not None:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self.socket.close(code, reason)
        log("session", session=self.number, code=code, **self._totals())

    async def _converse(self, reading: asyncio.Future[None], ending: asyncio.Future[Any]) -> int:
        """Answer to the end of the audio, or of the service; the close code."""
        await self._send("session.created", **self._described())
        await asyncio.wait({reading, ending, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            self.failed.result()
        if not reading.done():
            return GOING_AWAY
        await reading
        if self.session is not None and self.computing is not None:
            self.session.end()
            await self.computing
            if self.failed.done():
                self.failed.result()
        await self._send("session.closed", **self._totals())
        return 1000

    async def _stop(self, *tasks: asyncio.Future[Any]) -> None:
        """End all that still runs."""
        self.work.withdraw()
        if self.session is not None:
            self.session.end()
        running = [task for task in (*tasks, self.computing) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self.failed.done():
            self.failed.exception()  # it was told
        else:
            self.failed.cancel()

    def _described(self) -> dict[str, Any]:
        manifest = self.service.bundle.manifest
        chosen = self.service.settings.model.labels
        labels = [label.id for label in manifest.labels if chosen is None or label.id in chosen]
        return {
            "session": self.number,
            **self.options.model_dump(),
            "labels": labels,
            "model": manifest.name,
            "version": __version__,
        }

    def _totals(self) -> dict[str, Any]:
        if self.session is None:
            return asdict(Totals())
        return asdict(self.session.totals)

    async def _read(self) -> None:
        """Take messages until the client ends; raises WebSocketDisconnect if it goes away."""
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if message.get("bytes") is not None:
                if len(message["bytes"]) > MOST_FRAME:
                    raise RequestTooLargeError(f"a message of more than {MOST_FRAME >> 20} MiB")
                session = self._begun()
                while session.full and not self.failed.done():  # noqa: ASYNC110 - a thread empties it
                    await asyncio.sleep(PAUSE_SECONDS)
                session.put(message["bytes"])
            elif await self._control(message["text"]):
                return

    async def _control(self, text: str) -> bool:
        """Follow a text message; True if it is the client's last."""
        try:
            content = json.loads(text) if len(text) <= MOST_MESSAGE else None
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise MalformedRequestError("a text message is a JSON object with a type")
        kind = content.pop("type", None)
        if kind == "end":
            return True
        if kind != "session.update":
            raise MalformedRequestError("the type of a text message is session.update or end")
        if self.session is not None:
            await self._tell(OptionError("session.update comes before the first audio"))
            return False
        try:
            options = LiveOptions.model_validate({**self.options.model_dump(), **content})
            LiveSession(options, self.service.settings.model.chunk_seconds)
        except ValidationError as error:
            await self._tell(OptionError(problems.invalid(error.errors())))
        except E2VError as error:
            await self._tell(error)
        else:
            self.options = options
            await self._send("session.updated", **self._described())
        return False

    def _begun(self) -> LiveSession:
        """The session, whose windows are computed from now on."""
        if self.session is None:
            longest = self.service.settings.model.chunk_seconds
            self.session = LiveSession(self.options, longest)
            self.computing = asyncio.ensure_future(self._compute(self.session))
        return self.session

    async def _compute(self, session: LiveSession) -> None:
        """Send the results as they come."""
        try:
            async for result in self._results(session):
                content = result.to_dict()
                if isinstance(result, StreamWindow):
                    self.service.metrics.windows.inc()
                    self.service.metrics.dropped.inc(result.skipped)
                await self._send(content.pop("event", "window"), **content)
        except Exception as error:  # noqa: BLE001 - raised where the session waits
            if not self.failed.done():
                self.failed.set_exception(error)

    async def _results(self, session: LiveSession) -> AsyncIterator[StreamWindow | StreamEvent]:
        """The results of a session, which are computed in a thread."""
        loop = asyncio.get_running_loop()
        found: asyncio.Queue[StreamWindow | StreamEvent | Exception | None] = asyncio.Queue()

        def compute() -> None:
            try:
                for result in session.results(self.service.own_recognizer(self.work)):
                    loop.call_soon_threadsafe(found.put_nowait, result)
                loop.call_soon_threadsafe(found.put_nowait, None)
            except Exception as error:  # noqa: BLE001 - raised below
                loop.call_soon_threadsafe(found.put_nowait, error)

        self.service.live_threads.submit(compute)
        while (result := await found.get()) is not None:
            if isinstance(result, Exception):
                raise result
            yield result

    async def _tell(self, error: BaseException) -> None:
        content = problems.problem(error)
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._send(
                "error", error=content["error"], exit_code=content["exit_code"],
                message=content["detail"],
            )  # fmt: skip

    async def _send(self, kind: str, **content: Any) -> None:
        text = json.dumps({"type": kind, **content}, ensure_ascii=False, allow_nan=False)
        try:
            await asyncio.wait_for(self.socket.send_text(text), SEND_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            raise WebSocketDisconnect(GOING_AWAY, "the client reads nothing") from None

"""The door of the service: token, host and origin of each request, and headers of each answer."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import E2VError, ForbiddenError, OverloadedError, UnauthorizedError
from .answers import problems
from .monitoring import LOGGER, log
from .settings import LOOPBACK_NAMES, ServeSettings

if TYPE_CHECKING:
    from .monitoring import Metrics

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "worker-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy of every answer: the page loads nothing from elsewhere, and runs no code
that is not a file of this service."""

HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
}

OPEN_PATHS = re.compile(r"/(|docs|openapi\.json|favicon\.ico|page/.*|health/.*|v2/health/.*)")
"""Paths that need no token: the page, which asks for it, the documentation, and probes."""

SUBPROTOCOL = "bearer."
"""Prefix of a WebSocket subprotocol that carries the token: a browser sends no other header."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

READING = {"GET", "HEAD", "OPTIONS"}
METHODS = {*READING, "POST", "PUT", "PATCH", "DELETE"}
CORS_HEADERS = "authorization, content-type, filename, x-request-id"


def subprotocols(headers: Headers) -> list[str]:
    """The subprotocols that a WebSocket's client offers; older servers do not divide the list."""
    lines = ",".join(headers.getlist("sec-websocket-protocol"))
    return [name.strip() for name in lines.split(",") if name.strip()]


class Door:
    """ASGI middleware around the whole service.

    Args:
        app: the service.
        settings: token, hosts and origins.
        metrics: receives the time of each request.
        draining: returns True from the moment that the service ends.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServeSettings,
        metrics: Metrics,
        *,
        draining: Callable[[], bool],
    ) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self.draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or session."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = request_id
        try:
            self._check(scope, headers)
        except E2VError as error:
            await self._refuse(scope, error, request_id, send)
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, self._answer_headers(headers, request_id))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await answer.plain(204, b"", {})
        else:
            await self._pass(scope, receive, answer)
        self._note(scope, answer)

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self.app(scope, receive, answer.send)
        except Exception as error:
            LOGGER.exception("internal error", extra={"facts": {"request_id": scope["request_id"]}})
            if not answer.begun:
                await answer.problem(error, scope["request_id"])
            elif not answer.complete:
                raise  # the connection is cut: half an answer is not to look like a whole one

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse a request that may not come in.

        Raises:
            ForbiddenError, UnauthorizedError, OverloadedError: it is refused.
        """
        self._check_host(headers)
        if scope["type"] == "websocket" or scope["method"] not in READING:
            self._check_origin(scope, headers)
        if self.settings.token is not None and not OPEN_PATHS.fullmatch(scope["path"]):
            preflight = scope["type"] == "http" and scope["method"] == "OPTIONS"
            if not preflight:
                self._check_token(scope, headers, self.settings.token)
        probe = scope["path"].startswith(("/health/", "/v2/health/", "/metrics"))
        if self.draining() and not probe:
            raise OverloadedError("the service ends; ask again in a while")

    def _check_host(self, headers: Headers) -> None:
        """Refuse other host names: without a token, a site must not reach us under its own name."""
        allowed = self.settings.allow_hosts
        if self.settings.token is not None and not allowed:
            return
        host = headers.get("host", "")
        name = re.sub(r":\d+$", "", host).lower()
        if name not in (*LOOPBACK_NAMES, *(host.lower() for host in allowed)):
            raise ForbiddenError(
                "this host name is not the service's; if it is meant to be, start the service "
                "with --allow-host and the name"
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """A page of another site must not send anything here."""
        origin = headers.get("origin")
        if origin is None or origin in self.settings.allow_origins:
            return
        secure = scope["scheme"] in ("https", "wss")
        try:
            parts = urlsplit(origin)
        except ValueError:
            parts = urlsplit("")
        same_host = parts.netloc.lower() == headers.get("host", "").lower()
        # Behind a proxy that ends TLS the page's scheme is https, and ours is http.
        if not (parts.netloc and same_host and (parts.scheme == "https" or not secure)):
            raise ForbiddenError(
                "pages of other sites may not use this service; start it with --allow-origin and "
                "their origin, if they may"
            )

    def _check_token(self, scope: Scope, headers: Headers, token: str) -> None:
        given = ""
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            given = value.strip()
        if scope["type"] == "websocket" and not given:
            for protocol in subprotocols(headers):
                if protocol.startswith(SUBPROTOCOL):
                    given = protocol.removeprefix(SUBPROTOCOL)
        if not secrets.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            raise UnauthorizedError(
                "give the token of this service: Authorization: Bearer TOKEN, or for a WebSocket "
                "the subprotocol bearer.TOKEN"
            )

    async def _refuse(self, scope: Scope, error: E2VError, request_id: str, send: Send) -> None:
        self.metrics.rejections.labels(type(error).__name__).inc()
        answer = _Answer(send, self._answer_headers(Headers(scope=scope), request_id))
        if scope["type"] == "websocket":
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1008})
                return
            answer.prefix = "websocket."
        await answer.problem(error, request_id)
        if scope["type"] == "http":
            self._note(scope, answer)

    def _answer_headers(self, headers: Headers, request_id: str) -> dict[str, str]:
        own = {**HEADERS, "x-request-id": request_id}
        origin = headers.get("origin")
        if origin is not None and origin in self.settings.allow_origins:
            own |= {
                "access-control-allow-origin": origin,
                "access-control-allow-methods": "GET, POST, DELETE",
                "access-control-allow-headers": CORS_HEADERS,
                "access-control-expose-headers": "x-request-id, location, retry-after",
                "vary": "Origin",
            }
        return own

    def _note(self, scope: Scope, answer: _Answer) -> None:
        """Count and log a request; paths of clients are named by their route."""
        route = getattr(scope.get("route"), "path", "other")
        seconds = time.perf_counter() - answer.started
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.requests.labels(method, route, str(answer.status)).observe(seconds)
        log(
            "request",
            request_id=scope["request_id"],
            method=method,
            route=route,
            status=answer.status,
            seconds=round(seconds, 4),
            **scope.get("facts", {}),
        )


class _Answer:
    """The answer to one request, which gets the service's headers."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self.begun = self.complete = False
        self.status = 0
        self.started = time.perf_counter()
        self.prefix = ""
        self._send = send
        self._headers = headers

    async def send(self, message: Message) -> None:
        if message["type"].endswith("http.response.start"):
            self.begun = True
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers[name] = value
        await self._send(message)
        if message["type"].endswith("http.response.body") and not message.get("more_body"):
            self.complete = True

    async def plain(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        start = f"{self.prefix}http.response.start"
        await self.send({"type": start, "status": status, "headers": raw})
        await self.send({"type": f"{self.prefix}http.response.body", "body": content})

    async def problem(self, error: BaseException, request_id: str) -> None:
        content = problems.problem(error, request_id)
        body = problems.body(content)
        headers = {"content-type": problems.MEDIA_TYPE, **problems.headers_of(error)}
        if not self.prefix:  # for a WebSocket the server below writes it
            headers["content-length"] = str(len(body))
        await self.plain(content["status"], body, headers)

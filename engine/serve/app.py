"""The ASGI application: every address of the service, behind its door."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from ..errors import E2VError, OptionError, OverloadedError, UnknownResourceError
from ..version import __version__
from .answers import problems
from .monitoring import LOGGER
from .routes import about, feedback, jobs, kserve, pages, recognition, similarity, store, stream
from .security import Door
from .service import Service

DESCRIPTION = (
    "Speech emotion recognition with emotion2vec. Recordings are sent as they are, in any format, "
    "as the body of the request or as parts named file of a form. Errors are "
    "application/problem+json."
)

TIDY_SECONDS = 60.0
"""Seconds between two looks for results whose time is over."""


def make_app(service: Service) -> ASGIApp:
    """The application of a service, which it closes at its end."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.ensure_future(_tidy(service))
        try:
            yield
        finally:
            tidying.cancel()
            await asyncio.to_thread(service.close)

    app = FastAPI(
        title="emotion2vec-edge",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry={  # of FastAPI's newer versions: nothing is sent, whatever the environment says
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    for module in (recognition, similarity, store, jobs, stream, feedback, kserve, about):
        app.include_router(module.router(service))
    pages.add_documentation(app)
    if service.settings.page:
        pages.add_page(app)
    _add_errors(app, service)
    return Door(app, service.settings, service.metrics, draining=service.draining.is_set)


async def _tidy(service: Service) -> None:
    """Forget results in time, also if nobody asks."""
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        await asyncio.to_thread(service.jobs.prune)


def _add_errors(app: FastAPI, service: Service) -> None:
    """Answer every error with a problem."""

    def answer(request: Request, error: Exception) -> Response:
        service.metrics.rejections.labels(type(error).__name__).inc()
        content = problems.problem(error, request.scope.get("request_id"))
        if request.url.path.startswith("/v2"):  # the field that clients of the protocol show
            content["error"] += f": {content['detail']}"
        headers = problems.headers_of(error)
        if isinstance(error, OverloadedError):
            headers["retry-after"] = str(service.retry_after())
        if content["status"] == 500 and isinstance(error, E2VError):
            LOGGER.error("request failed", exc_info=error)
        return Response(problems.body(content), content["status"], headers, problems.MEDIA_TYPE)

    async def own(request: Request, error: Any) -> Response:
        return answer(request, error)

    async def validation(request: Request, error: Any) -> Response:
        return answer(request, OptionError(problems.invalid(error.errors())))

    async def http(request: Request, error: Any) -> Response:
        if error.status_code == 404:
            return answer(request, UnknownResourceError("there is nothing at this address"))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["allow"] = ", ".join(_methods(app, request.url.path))
        content = {
            "type": "about:blank", "title": error.detail, "status": error.status_code,
            "detail": error.detail, "error": "E2VError", "exit_code": 1,
            "request_id": request.scope.get("request_id"),
        }  # fmt: skip
        return Response(problems.body(content), error.status_code, headers, problems.MEDIA_TYPE)

    app.add_exception_handler(E2VError, own)
    app.add_exception_handler(Exception, own)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


def _methods(app: FastAPI, path: str) -> list[str]:
    """All methods of an address: a router names those of one of its routes alone."""
    found = {
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
        for method in operations
    }
    return sorted(found) or ["GET"]

"""Errors as ``application/problem+json`` (RFC 9457), without anything of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from ... import errors
from ...errors import E2VError

MEDIA_TYPE = "application/problem+json"

RETRY_SECONDS = 2
"""Seconds after which a refused client is advised to ask again."""

STATUS: dict[type[E2VError], int] = {
    errors.UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    errors.ForbiddenError: HTTPStatus.FORBIDDEN,
    errors.UnknownResourceError: HTTPStatus.NOT_FOUND,
    errors.MalformedRequestError: HTTPStatus.BAD_REQUEST,
    errors.RequestTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.OverloadedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TimeBudgetError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.WithdrawnError: HTTPStatus.REQUEST_TIMEOUT,
    errors.NoHeadError: HTTPStatus.NOT_IMPLEMENTED,
    errors.MissingExtraError: HTTPStatus.NOT_IMPLEMENTED,
    errors.OptionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.AudioTooLongError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.AudioError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.OutputError: HTTPStatus.INSUFFICIENT_STORAGE,
}
"""Status of an error's class, or of the nearest of its bases; 500 for all others."""


def status_of(error: BaseException) -> int:
    """HTTP status that answers an error."""
    for cls in type(error).__mro__:
        if cls in STATUS:
            return int(STATUS[cls])
    return int(HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(error: BaseException, request_id: str | None = None) -> dict[str, Any]:
    """JSON-ready form of an error.

    The message of an error that is not ours, and of a model that cannot be used, stays in the log:
    it may name files of this machine.
    """
    status = status_of(error)
    detail = str(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = "the service failed; its log says why"
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "error": type(error).__name__ if isinstance(error, E2VError) else "E2VError",
        "exit_code": error.exit_code if isinstance(error, E2VError) else 1,
    }
    if request_id is not None:
        content["request_id"] = request_id
    return content


def headers_of(error: BaseException) -> dict[str, str]:
    """Headers that an answer with this error has."""
    status = status_of(error)
    if status == HTTPStatus.UNAUTHORIZED:
        return {"www-authenticate": "Bearer"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"retry-after": str(RETRY_SECONDS)}
    return {}


def body(content: dict[str, Any]) -> bytes:
    """A problem as bytes."""
    return json.dumps(content, ensure_ascii=False).encode()


def invalid(found: Iterable[Any]) -> str:
    """Message about parameters that do not fit, from a list of pydantic's errors."""
    lines = []
    for error in list(found)[:5]:
        place = ".".join(str(part) for part in error["loc"] if part not in ("query", "body"))
        lines.append(f"{place or 'the request'}: {error['msg']}")
    return "; ".join(lines)

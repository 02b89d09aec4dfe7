"""The service's addresses, one module for each group of them."""

from __future__ import annotations

from typing import Any

from ..answers.schema import Problem

PROBLEM: dict[str, Any] = {
    "description": "An error.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {**PROBLEM, "model": Problem}
    for status in (400, 401, 403, 408, 413, 422, 500, 501, 503, 504, 507)
}
"""Errors that a request with recordings may have."""

NOT_FOUND: dict[int | str, dict[str, Any]] = dict.fromkeys((401, 403, 404, 422), PROBLEMS[400])
"""Errors of an address that names something."""

_FILE = {"type": "string", "format": "binary"}

RECORDINGS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A recording in any format that FFmpeg reads, or a form with several.",
        "content": {
            "application/octet-stream": {"schema": _FILE},
            "audio/*": {"schema": _FILE},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "array", "items": _FILE}},
                }
            },
        },
    }
}
"""OpenAPI of a body that holds recordings."""

FEEDBACK: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "label"],
                    "properties": {
                        "file": _FILE,
                        "label": {"type": "string", "description": "True emotion."},
                        "speaker": {"type": "string", "description": "Name of the speaker."},
                    },
                }
            }
        },
    }
}
"""OpenAPI of a correction."""

"""The page and its files, and the documentation, all from this machine."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from ...errors import UnknownResourceError
from .documentation import documentation

FOLDER = Path(__file__).resolve().parent.parent / "page"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".flac": "audio/flac",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""Media type of each kind of file that the page may have: not the system's, which may lack some."""

METHODS = ["GET", "HEAD"]

NO_CACHE = {"cache-control": "no-cache"}
"""A browser asks again after an update; unchanged files are answered with 304."""


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files below ``/page/``."""

    @app.api_route("/", methods=METHODS, include_in_schema=False)
    async def index(request: Request) -> Response:
        return _answer(request, FOLDER / "index.html")

    @app.api_route("/page/{path:path}", methods=METHODS, include_in_schema=False)
    async def file(request: Request, path: str) -> Response:
        found = _files().get(path)
        if found is None or found.suffix not in MEDIA_TYPES:
            raise UnknownResourceError("the page has no such file")
        return _answer(request, found)


def _answer(request: Request, path: Path) -> Response:
    answer = FileResponse(
        path, headers=NO_CACHE, media_type=MEDIA_TYPES[path.suffix], stat_result=path.stat()
    )
    if request.headers.get("if-none-match") == answer.headers["etag"]:
        return Response(status_code=304, headers={**NO_CACHE, "etag": answer.headers["etag"]})
    return answer


def _files() -> dict[str, Path]:
    """Files of the page by their paths below ``/page/``; its examples are those of the engine."""
    own = {one.relative_to(FOLDER).as_posix(): one for one in FOLDER.rglob("*") if one.is_file()}
    return own | {f"samples/{one.name}": one for one in SAMPLES.glob("*.flac")}


def add_documentation(app: FastAPI) -> None:
    """Serve a description of all addresses at ``/docs``, made from the OpenAPI document."""

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(documentation(request.app.openapi()))

"""The page and its files, and the documentation, all from this machine."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from ...embeddings.maps import DATA
from ...embeddings.maps import PAGE as MAP_PAGE
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

MAP_LINKS = """\
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/map.css">"""

METHODS = ["GET", "HEAD"]

NO_CACHE = {"cache-control": "no-cache"}
"""A browser asks again after an update; unchanged files are answered with 304."""


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files below ``/page/``."""

    @app.api_route("/", methods=METHODS, include_in_schema=False)
    async def index(request: Request) -> Response:
        return _answer(request, FOLDER / "index.html")

    for name, content in map_files().items():
        _add_content(app, f"/page/{name}", content)

    @app.api_route("/page/{path:path}", methods=METHODS, include_in_schema=False)
    async def file(request: Request, path: str) -> Response:
        found = _files().get(path)
        if found is None or found.suffix not in MEDIA_TYPES:
            raise UnknownResourceError("the page has no such file")
        return _answer(request, found)


def map_files() -> dict[str, str]:
    """The page of a map, with its style and its script as files: none may be inline here."""
    page = MAP_PAGE.read_text(encoding="utf-8")
    before, style, rest = re.split(r"</?style>", page)
    middle, script, after = re.split(r"</?script>", rest)
    policy = re.compile(r"<meta http-equiv[^>]*>")  # that of a file; the service has its own
    return {
        "map.html": policy.sub("", before)
        + MAP_LINKS
        + middle
        + '<script type="module" src="/page/map.js"></script>'
        + after,
        "map.css": style,
        "map.js": 'import { points } from "/page/points.js";\n'
        + script.replace(DATA, "await points()", 1),
    }


def _add_content(app: FastAPI, path: str, content: str) -> None:
    @app.api_route(path, methods=METHODS, include_in_schema=False)
    async def answer() -> Response:
        return Response(content, headers=NO_CACHE, media_type=MEDIA_TYPES[Path(path).suffix])


def _answer(request: Request, path: Path) -> Response:
    answer = FileResponse(
        path, headers=NO_CACHE, media_type=MEDIA_TYPES[path.suffix], stat_result=path.stat()
    )
    if request.headers.get("if-none-match") == answer.headers["etag"]:
        return Response(status_code=304, headers={**NO_CACHE, "etag": answer.headers["etag"]})
    return answer


def _files() -> dict[str, Path]:
    """Files of the page by their paths below ``/page/``; its examples are those of the engine."""
    files = (path for path in FOLDER.rglob("*") if path.is_file())
    own = {path.relative_to(FOLDER).as_posix(): path for path in files}
    return own | {f"samples/{path.name}": path for path in SAMPLES.glob("*.flac")}


def add_documentation(app: FastAPI) -> None:
    """Serve a description of all addresses at ``/docs``, made from the OpenAPI document."""

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(documentation(request.app.openapi()))

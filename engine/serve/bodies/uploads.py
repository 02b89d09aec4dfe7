"""The body of a request → recordings and form fields, parsed while it arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ...errors import MalformedRequestError, RequestTooLargeError, WithdrawnError
from ..settings import MOST_FILES, ServeSettings
from .spool import Spool, SpooledFile, check_size

MOST_FIELDS = 64
"""Form fields of one request."""
MOST_FIELD_BYTES = 1 << 16
"""Bytes of one form field."""
MOST_PART_HEADERS = 16
MOST_PART_HEADER_BYTES = 4096

PATIENCE_SECONDS = 60.0
"""Seconds that a client may send nothing while its body is awaited."""


@dataclass
class Upload:
    """The content of a request."""

    files: list[SpooledFile] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    """Form fields by name; of one that is repeated, the last."""


@contextlib.asynccontextmanager
async def received(
    request: Request, settings: ServeSettings, spool: Spool
) -> AsyncIterator[Upload]:
    """Take in the body of a request; its recordings are kept to the end of the block.

    Args:
        request: a body that is a recording, or multipart/form-data with files named ``file``.
        settings: the limits.
        spool: where large recordings go.

    Raises:
        RequestTooLargeError: it has more bytes, files or fields than are taken.
        MalformedRequestError: it is no multipart, or has no recording.
        OverloadedError, OutputError: there is no room for it.
        WithdrawnError: the client went away, or sent nothing for long.
    """
    upload = Upload()
    try:
        kind, options = parse_options_header(request.headers.get("content-type"))
        if request.headers.get("content-encoding", "identity") != "identity":
            raise MalformedRequestError("the body is compressed; send it as it is")
        check_size(_promised(request), settings.upload_bytes)
        if kind == b"multipart/form-data":
            await _multipart(request, options.get(b"boundary", b""), settings, spool, upload)
        else:
            await _raw(request, settings, spool, upload)
        if not upload.files:
            raise MalformedRequestError("there is no recording: send a part named file")
        yield upload
    finally:
        for file in upload.files:
            file.close()


def _promised(request: Request) -> int:
    """Bytes of the body, as its header says; 0 if it does not."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


async def _body(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body in pieces, counted."""
    count = 0
    pieces = request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(pieces), PATIENCE_SECONDS)
        except StopAsyncIteration:
            return
        except ClientDisconnect:
            raise WithdrawnError("the client went away") from None
        except (asyncio.TimeoutError, TimeoutError):
            raise WithdrawnError(f"the client sent nothing for {PATIENCE_SECONDS:g} s") from None
        count += len(piece)
        check_size(count, most)
        if piece:
            yield piece


async def _write(file: SpooledFile, content: bytes) -> None:
    if file.in_memory(len(content)):
        file.write(content)
    else:
        await asyncio.to_thread(file.write, content)


async def _raw(request: Request, settings: ServeSettings, spool: Spool, upload: Upload) -> None:
    name = request.query_params.get("filename") or request.headers.get("filename")
    file = SpooledFile(spool, name)
    upload.files.append(file)
    async for piece in _body(request, settings.upload_bytes):
        await _write(file, piece)
    if not file.size:
        raise MalformedRequestError("the body is empty; send a recording")


async def _multipart(
    request: Request, boundary: bytes, settings: ServeSettings, spool: Spool, upload: Upload
) -> None:
    if not boundary:
        raise MalformedRequestError("multipart/form-data without a boundary")
    form = _Form(spool, upload)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_headers_finished": form.headers_end,
                "on_part_data": form.data,
                "on_part_end": form.end,
                "on_end": form.finish,
            },
        )
        async for piece in _body(request, settings.upload_bytes):
            parser.write(piece)
            for file, content in form.taken():
                await _write(file, content)
    except FormParserError:
        raise MalformedRequestError("the body is no multipart/form-data") from None
    if not form.finished:
        raise MalformedRequestError("the multipart/form-data ends before its last boundary")


class _Form:
    """Receives the parts of a form from the parser, which is not to wait for a disk."""

    def __init__(self, spool: Spool, upload: Upload) -> None:
        self.finished = False
        self._spool = spool
        self._upload = upload
        self._header = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._file: SpooledFile | None = None
        self._name = ""
        self._value = bytearray()
        self._content: list[tuple[SpooledFile, bytes]] = []

    def taken(self) -> list[tuple[SpooledFile, bytes]]:
        """Bytes of files that came since the last call."""
        content, self._content = self._content, []
        return content

    def begin(self) -> None:
        self._headers = {}
        self._header = bytearray(), bytearray()
        self._file, self._name, self._value = None, "", bytearray()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._add_to_header(0, data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._add_to_header(1, data[start:end])

    def header_end(self) -> None:
        name, value = self._header
        if len(self._headers) >= MOST_PART_HEADERS:
            raise RequestTooLargeError("a part of the form has too many headers")
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = bytearray(), bytearray()

    def headers_end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise MalformedRequestError("a part of the form has no name")
        self._name = options[b"name"].decode("utf-8", "replace")
        if b"filename" in options:
            if self._name != "file":
                raise MalformedRequestError("files are sent as parts named file")
            if len(self._upload.files) >= MOST_FILES:
                raise RequestTooLargeError(f"more than {MOST_FILES} files in one request")
            name = options[b"filename"].decode("utf-8", "replace")
            self._file = SpooledFile(self._spool, name)
            self._upload.files.append(self._file)
        elif len(self._upload.fields) >= MOST_FIELDS:
            raise RequestTooLargeError(f"more than {MOST_FIELDS} fields in one request")

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._content.append((self._file, data[start:end]))
            return
        self._value += data[start:end]
        if len(self._value) > MOST_FIELD_BYTES:
            raise RequestTooLargeError(f"a form field of more than {MOST_FIELD_BYTES} bytes")

    def end(self) -> None:
        if self._file is None:
            self._upload.fields[self._name] = self._value.decode("utf-8", "replace")

    def finish(self) -> None:
        self.finished = True

    def _add_to_header(self, part: int, content: bytes) -> None:
        self._header[part].extend(content)
        if len(self._header[part]) > MOST_PART_HEADER_BYTES:
            raise RequestTooLargeError("a part of the form has a header that is too long")

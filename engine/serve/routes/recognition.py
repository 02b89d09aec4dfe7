"""``/v1/audio``: emotions and embeddings of recordings."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from ...errors import OptionError
from ..answers.emotions import Answer, answer_embeddings, answer_emotions, check_options
from ..answers.options import EmbeddingOptions, EmotionOptions
from ..answers.problems import invalid
from ..answers.schema import Embedding, Embeddings, Result, Results
from ..bodies.uploads import Upload
from ..inference.work import Work
from ..service import Service
from . import PROBLEMS, RECORDINGS

Options = TypeVar("Options", bound=EmbeddingOptions)


def with_fields(options: Options, upload: Upload) -> Options:
    """The options of the query, and those that are form fields of the body.

    Raises:
        OptionError: a form field is out of range.
    """
    if not upload.fields:
        return options
    given = options.model_dump(exclude_unset=True)
    try:
        return type(options).model_validate({**given, **upload.fields})
    except ValidationError as error:
        raise OptionError(invalid(error.errors())) from None


def chosen_labels(options: EmotionOptions) -> list[str] | None:
    """The label ids of a request; None for all."""
    if options.labels is None:
        return None
    return [label.strip() for label in options.labels.split(",")]


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter(prefix="/v1/audio", tags=["recordings"])

    def answered(answer: Answer) -> Response:
        service.count(answer)
        return Response(answer.text, media_type=answer.media_type)

    @routes.post(
        "/emotions",
        response_class=Response,
        responses={200: {"model": Result | Results}, **PROBLEMS},
        openapi_extra=RECORDINGS,
    )
    async def emotions(request: Request, options: Annotated[EmotionOptions, Query()]) -> Response:
        """Recognize the emotion of recordings; one gives its result, several give all of them."""
        async with service.received(request) as upload:
            own = with_fields(options, upload)
            check_options(own, len(upload.files))

            def function(work: Work) -> Answer:
                recognizer = service.own_recognizer(work, chosen_labels(own), own.reject_below)
                most = service.settings.max_seconds
                return answer_emotions(recognizer, work, upload.files, own, most)

            return answered(await service.compute(request, function))

    @routes.post(
        "/embeddings",
        response_class=Response,
        responses={200: {"model": Embedding | Embeddings}, **PROBLEMS},
        openapi_extra=RECORDINGS,
    )
    async def embeddings(
        request: Request, options: Annotated[EmbeddingOptions, Query()]
    ) -> Response:
        """Compute the embedding of each recording: the mean of its frames."""
        async with service.received(request) as upload:
            own = with_fields(options, upload)

            def function(work: Work) -> Answer:
                most = service.settings.max_seconds
                recognizer = service.own_recognizer(work)
                return answer_embeddings(recognizer, work, upload.files, own.channel, most)

            return answered(await service.compute(request, function))

    _: Any = (emotions, embeddings)
    return routes

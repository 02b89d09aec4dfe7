"""``/v1/jobs``: recordings that take longer than a request should."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ...errors import UnknownResourceError
from ..answers.emotions import Answer, answer_emotions, check_options
from ..answers.options import EmotionOptions
from ..answers.problems import MEDIA_TYPE
from ..answers.schema import JobOut
from ..inference.work import Work
from ..jobs import Job
from ..service import Service
from . import NOT_FOUND, PROBLEMS, RECORDINGS
from .recognition import chosen_labels, with_fields


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    store = service.jobs
    # A function that is not async runs in a thread, where a slow disk holds up nobody else.

    @routes.post(
        "",
        status_code=202,
        response_class=Response,
        responses={202: {"model": JobOut}, **PROBLEMS},
        openapi_extra=RECORDINGS,
    )
    async def begin(request: Request, options: Annotated[EmotionOptions, Query()]) -> Response:
        """Take recordings in, and recognize them when it is their turn; options as for emotions."""
        store.check_room()
        async with service.received(request) as upload:
            own = with_fields(options, upload)
            check_options(own, len(upload.files))
            files = list(upload.files)

            def function(work: Work) -> Answer:
                recognizer = service.own_recognizer(work, chosen_labels(own), own.reject_below)
                answer = answer_emotions(recognizer, work, files, own, service.settings.max_seconds)
                service.count(answer)
                return answer

            job = store.add(files, own.format, function)
            upload.files.clear()  # they are the job's now
        headers = {"location": f"/v1/jobs/{job.outcome.id}"}
        return Response(_document(job), 202, headers, "application/json")

    @routes.get("/{job}", response_class=Response, responses={200: {"model": JobOut}, **NOT_FOUND})
    def state(job: str) -> Response:
        """Tell how far a job is and, when it is done, its result if that is JSON."""
        return Response(_document(store.get(job)), media_type="application/json")

    @routes.get("/{job}/result", response_class=Response, responses={**NOT_FOUND, **PROBLEMS})
    def result(job: str) -> Response:
        """Give the result of a job in its own format, or the error that ended it."""
        outcome = store.get(job).outcome
        if outcome.error is not None:
            text = json.dumps(outcome.error, ensure_ascii=False)
            return Response(text, outcome.error["status"], media_type=MEDIA_TYPE)
        if outcome.state != "done":
            raise UnknownResourceError("the job is not done; ask for its state")
        return Response(outcome.text, media_type=outcome.media_type)

    @routes.delete("/{job}", status_code=204, response_class=Response, responses=NOT_FOUND)
    def remove(job: str) -> Response:
        """Cancel a job, and forget its result."""
        store.remove(job)
        return Response(status_code=204)

    return routes


def _document(job: Job) -> str:
    """The JSON of a job."""
    outcome, work = job.outcome, job.work
    done = outcome.state in ("done", "failed")
    content = {
        "id": outcome.id,
        "state": outcome.state,
        "created": outcome.created,
        "progress": {
            "done": outcome.done if done else work.audio_seconds,
            "total": outcome.done if outcome.state == "done" else work.total_seconds,
        },
        "format": outcome.format,
    }
    if outcome.error is not None:
        content["error"] = outcome.error
    text = json.dumps(content, ensure_ascii=False)
    if outcome.state == "done" and outcome.format == "json":
        return f'{text[:-1]}, "result": {outcome.text.rstrip()}}}\n'
    return text

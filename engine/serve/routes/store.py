"""``/v1/store``: the store of embeddings that the service was started with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ...errors import MalformedRequestError, UnknownResourceError
from ..answers.options import SearchOptions
from ..answers.schema import StoreFound
from ..answers.stored import ServedStore
from ..inference.work import Work
from ..service import Service
from . import NOT_FOUND, PROBLEMS, RECORDINGS
from .recognition import with_fields


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter(prefix="/v1/store", tags=["store"])

    def opened() -> ServedStore:
        if service.store is None:
            raise UnknownResourceError(
                "there is no store here; start the service with --store STORE"
            )
        return service.store

    @routes.post("/search", responses={**NOT_FOUND, **PROBLEMS}, openapi_extra=RECORDINGS)
    async def search(request: Request, options: Annotated[SearchOptions, Query()]) -> StoreFound:
        """Find the recordings of the store that sound like one that is sent."""
        store = opened()
        async with service.received(request) as upload:
            if len(upload.files) != 1:
                raise MalformedRequestError("a search is for one recording")
            own = with_fields(options, upload)

            def function(work: Work) -> StoreFound:
                recognizer = service.own_recognizer(work)
                with upload.files[0].open() as source:
                    encoding = recognizer.encode(
                        source,
                        channel=own.channel,
                        max_seconds=service.settings.max_seconds,
                        progress=work.progress,
                    )
                return store.find(encoding.embedding(), own)

            return await service.compute(request, function)

    @routes.get(
        "/map",
        response_class=Response,
        responses={
            200: {"content": {"application/json": {}}, "description": "Points of the map."},
            **NOT_FOUND, **PROBLEMS,
        },
    )  # fmt: skip
    async def map_(request: Request) -> Response:
        """Give the points of the store's map, as the page /page/map.html draws them."""
        store = opened()
        content = await service.compute(request, lambda _: store.map)
        return Response(content, media_type="application/json")

    return routes

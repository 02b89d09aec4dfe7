"""``/v1/embeddings/compare``: recordings that sound alike, and all of them on a map."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray
from pydantic import ValidationError

from ...embeddings.search import Index
from ...embeddings.space import Space, checked_vectors, unit
from ...errors import MalformedRequestError, OptionError
from ..answers.problems import invalid
from ..answers.schema import Compared, Comparison, Neighbour
from ..bodies.spool import SpooledFile
from ..service import Service
from . import PROBLEMS

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Comparison.model_json_schema()}},
    }
}


def router(service: Service) -> APIRouter:
    """The addresses."""
    routes = APIRouter(prefix="/v1/embeddings", tags=["recordings"])

    @routes.post("/compare", responses=PROBLEMS, openapi_extra=BODY)
    async def compare(request: Request) -> Compared:
        """Find the embeddings nearest to one, in the model's space, and lay all out on a map."""
        async with service.received(request) as upload:
            if len(upload.files) != 1 or upload.fields:
                raise MalformedRequestError("a comparison is one JSON document")
            file = upload.files[0]
            return await service.compute(request, lambda _: _compared(service, file))

    return routes


def _compared(service: Service, file: SpooledFile) -> Compared:
    with file.open() as source:
        try:
            asked = Comparison.model_validate_json(source.read())
        except ValidationError as error:
            raise OptionError(invalid(error.errors(include_input=False))) from None
    lengths = {len(row) for row in asked.embeddings}
    if len(lengths) > 1:
        raise OptionError(f"embeddings have the lengths {sorted(lengths)}; they are of one model")
    if asked.reference >= len(asked.embeddings):
        raise OptionError(f"reference is {asked.reference}; give 0 to {len(asked.embeddings) - 1}")
    space = Space.of(service.bundle)
    vectors = checked_vectors(np.asarray(asked.embeddings, np.float32), space.dim)
    moved = space.transform(vectors)
    others = np.arange(len(moved)) != asked.reference
    found = Index(moved).nearest(moved[asked.reference], asked.top, others)
    raw = unit(vectors) @ unit(vectors[asked.reference][None])[0]
    nearest = [
        Neighbour(
            index=number,
            cosine=cosine,
            raw_cosine=float(raw[number]),
            same_emotion=space.same_emotion(cosine),
        )
        for number, cosine in zip(found[0].tolist(), found[1].tolist(), strict=True)
        if others[number]
    ]
    return Compared(space=space.name, nearest=nearest, map=_map(moved))


def _map(vectors: NDArray[np.float32]) -> list[tuple[float, float]]:
    """The first two principal components of vectors [count, size], scaled to length 1 before."""
    centred = unit(vectors).astype(np.float64)
    centred -= centred.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, -2:][:, ::-1]
    # The sign of an axis is free: its largest coefficient is positive, so that maps look alike.
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    return [(x, y) for x, y in (centred @ axes).round(5).tolist()]

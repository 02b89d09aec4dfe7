"""Documents of the service: the shape of every answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...audio.normalized import Normalization
from ...settings import NEIGHBOURS, Granularity, TurnDetection
from ..settings import MOST_COMPARED
from .options import AnswerFormat, Probability

JobState = Literal["waiting", "running", "done", "failed"]


class Scored(BaseModel):
    """One label and its probability."""

    emotion: str
    confidence: Probability


class Warned(BaseModel):
    """A reason why a result is less certain."""

    code: str
    message: str


class Frame(BaseModel):
    """The emotion of one window."""

    start: float
    end: float
    emotion: str
    confidence: Probability
    scores: dict[str, Probability]


class SegmentOut(BaseModel):
    """A run of windows with one emotion."""

    start: float
    end: float
    emotion: str
    confidence: Probability


class TurnOut(Frame):
    """The emotion of one turn."""

    speaker: str | None
    text: str | None
    warnings: list[Warned]


class Taken(BaseModel):
    """Seconds that a recording took."""

    decode: float
    encode: float


class Result(BaseModel):
    """The result for one recording, as ``e2v recognize --format json`` prints it."""

    file: str
    granularity: Literal[Granularity, "turns"]
    emotion: str | None = Field(None, description="Not with turns.")
    confidence: Probability | None = None
    calibrated: bool
    restricted: bool
    baseline: bool | None = Field(None, description="With turns.")
    scores: dict[str, Probability] | None = None
    top: list[Scored] | None = None
    seconds: float
    speech_seconds: float | None = Field(None, description="With speech_only.")
    warnings: list[Warned]
    normalization: Normalization | None = None
    model: str
    provider: str
    timings: Taken | None = None
    speakers: list[dict[str, Any]] | None = Field(None, description="With turns.")
    frames: list[Frame] | None = Field(None, description="With granularity frame.")
    turns: list[TurnOut] | None = Field(None, description="With turns.")
    embedding: list[float] | None = Field(None, description="With embeddings.")
    embeddings: list[list[float] | None] | None = Field(
        None, description="With embeddings and turns: that of each turn."
    )
    peaks: list[tuple[float, float]] | None = Field(
        None, description="With peaks: lowest and highest sample of each part of the recording."
    )
    segments: list[SegmentOut] | None = Field(None, description="With segments.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    error: str = Field(description="Name of the exception.")
    exit_code: int = Field(description="Exit code that the e2v command would end with.")
    request_id: str | None = None


class Failure(BaseModel):
    """A recording of several that could not be used."""

    file: str
    error: str
    exit_code: int
    message: str


class Results(BaseModel):
    """The results for several recordings."""

    results: list[Result]
    failures: list[Failure]


class Embedding(BaseModel):
    """The embedding of one recording."""

    file: str
    seconds: float
    model: str
    embedding: list[float]
    warnings: list[Warned]


class Embeddings(BaseModel):
    """The embeddings of several recordings."""

    results: list[Embedding]
    failures: list[Failure]


class Comparison(BaseModel):
    """Embeddings that are compared with one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    embeddings: list[list[float]] = Field(
        min_length=1, max_length=MOST_COMPARED, description="Embeddings of this model."
    )
    reference: int = Field(
        0, ge=0, description="Place of the one that the others are compared with."
    )
    top: int = Field(NEIGHBOURS, ge=1, le=MOST_COMPARED, description="Most that are found.")


class Neighbour(BaseModel):
    """An embedding near the one that was asked about."""

    index: int
    cosine: float = Field(description="In the model's space.")
    raw_cosine: float = Field(description="Of the embeddings as they are.")
    same_emotion: Probability | None = Field(
        description="Probability of one emotion, if as many pairs share one as do not; null "
        "without a calibration."
    )


class Compared(BaseModel):
    """The embeddings nearest to one, and all of them on a map."""

    space: str = Field(description="Space of the model in which they were compared.")
    nearest: list[Neighbour] = Field(description="Best first.")
    map: list[tuple[float, float]] = Field(description="First two principal components of each.")


class StoredNeighbour(BaseModel):
    """A recording of the store, a turn or a window, near the one that was sent."""

    index: int = Field(description="Its place in the store, and on the map.")
    path: str = Field(description="Path of the recording, as the store names it.")
    start: float | None = Field(description="Seconds; null for the whole recording.")
    end: float | None
    label: str | None = Field(description="The true emotion, where it is known.")
    speaker: str | None
    emotion: str | None = Field(description="The emotion that was heard.")
    confidence: Probability | None
    cosine: float = Field(description="In the model's space.")
    same_emotion: Probability | None = Field(description="As that of a comparison.")


class StoreFound(BaseModel):
    """The recordings of the store that are nearest to one that was sent."""

    space: str = Field(description="Space of the model in which they were compared.")
    searched: int = Field(description="Number of embeddings that they were found among.")
    nearest: list[StoredNeighbour] = Field(description="Best first.")


class LabelOut(BaseModel):
    """A label and how to show it."""

    id: str
    display: str
    colour: str = Field(description="Colour, #rrggbb: that of --plot.")


class ModelOut(BaseModel):
    """The model that the service runs."""

    name: str
    labels: list[LabelOut] = Field(description="Labels that may be the answer.")
    variants: list[str]
    precision: str | None = Field(description="Null until the model is loaded.")
    provider: str | None = Field(description="Null until the model is loaded.")
    loaded: bool
    dim: int = Field(description="Length of an embedding.")
    sample_rate: int
    calibrated: bool
    licence: str


class Models(BaseModel):
    """The model, and the features and limits of this service."""

    models: list[ModelOut]
    version: str
    feedback: bool = Field(description="True if corrections are taken.")
    store: int | None = Field(
        description="Embeddings of the store that can be searched; null without one."
    )
    turns: list[TurnDetection] = Field(description="Ways of finding turns that work here.")
    formats: list[AnswerFormat]
    upload_bytes: int
    max_seconds: float | None
    queue: int
    sessions: int
    jobs: int


class Kept(BaseModel):
    """A correction that was kept."""

    id: int
    label: str
    known: bool = Field(description="True if it is one of the model's labels.")


class Progressed(BaseModel):
    """Seconds of audio."""

    done: float
    total: float | None


class JobOut(BaseModel):
    """A job and, when it is done, its result."""

    id: str
    state: JobState
    created: str
    progress: Progressed
    format: AnswerFormat
    result: Result | Results | None = None
    error: Problem | None = None


class Health(BaseModel):
    """The state of the service."""

    status: str

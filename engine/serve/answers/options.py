"""Options of a request, in the query or as form fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ...bundle.manifest import MOST_LABEL
from ...results.writers.formats import SegmentFormat
from ...settings import (
    HOP_SECONDS,
    LEAST_HOP,
    LEAST_WINDOW,
    MOST_SECONDS,
    NEIGHBOURS,
    SEGMENT_SECONDS,
    TOP,
    WINDOW_SECONDS,
    Granularity,
    TurnDetection,
)
from ..settings import MOST_FOUND, MOST_PEAKS

AnswerFormat: TypeAlias = Literal["json", "jsonl", "csv", SegmentFormat]
"""Format of an answer; those of other tools hold the timeline or the turns of one recording."""

Probability = Annotated[float, Field(ge=0, le=1)]


def unknown_option(given: Iterable[str], known: Collection[str]) -> str | None:
    """Message about an option that there is not, the first by name; None if there are all."""
    unknown = sorted(set(given) - set(known))
    if not unknown:
        return None
    return f"there is no option {unknown[0][:100]!r}; options are {', '.join(known)}"


class EmbeddingOptions(BaseModel):
    """Options of a request for embeddings, in the query or as form fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def refuse_others(cls, given: Any) -> Any:
        """Refuse options that there are not, by name."""
        if message := unknown_option(given, cls.model_fields):
            raise PydanticCustomError("unknown_option", "{message}", {"message": message})
        return given

    channel: int | None = Field(
        None, ge=0, le=63, description="Channel to take; the mean otherwise."
    )
    filename: str | None = Field(None, description="Name of a raw recording, for the answer.")


class EmotionOptions(EmbeddingOptions):
    """Options of a request for emotions, in the query or as form fields."""

    granularity: Granularity = Field(
        "utterance", description="One emotion a recording, or also one a window."
    )
    window: float = Field(
        WINDOW_SECONDS, ge=LEAST_WINDOW, le=MOST_SECONDS, description="Seconds of one window."
    )
    hop: float = Field(
        HOP_SECONDS, ge=LEAST_HOP, le=MOST_SECONDS, description="Seconds between two windows."
    )
    top: int = Field(TOP, ge=1, le=100, description="Number of emotions listed, best first.")
    min_segment: float = Field(
        SEGMENT_SECONDS, ge=0, le=MOST_SECONDS, description="Seconds of the shortest segment."
    )
    format: AnswerFormat = Field("json", description="Format of the answer.")
    embeddings: bool = Field(default=False, description="Give the embedding too (JSON).")
    labels: str | None = Field(
        None, max_length=10_000, description="Labels that may be the answer, with commas between."
    )
    reject_below: Probability | None = Field(
        None, description="Confidence under which the answer is unknown."
    )
    turns: TurnDetection | None = Field(
        None, description="The emotion of each turn, encoded alone, instead of the whole."
    )
    baseline: bool = Field(
        default=False, description="With turns by channel: subtract each speaker's own level."
    )
    speech_only: bool = Field(
        default=False, description="Pool speech alone; a recording without any is unknown."
    )
    peaks: int = Field(
        0, ge=0, le=MOST_PEAKS, description="Pairs of the waveform's outline to give (JSON)."
    )
    segments: bool = Field(
        default=False, description="Give the runs of one emotion too (JSON, granularity frame)."
    )


class SearchOptions(EmbeddingOptions):
    """Options of a search in the store, in the query or as form fields."""

    top: int = Field(NEIGHBOURS, ge=1, le=MOST_FOUND, description="Most that are found.")
    emotion: str | None = Field(
        None, max_length=MOST_LABEL, description="Find only what was heard as this emotion."
    )
    label: str | None = Field(
        None, max_length=MOST_LABEL, description="Find only what is labelled so."
    )

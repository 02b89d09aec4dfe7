"""The clip that an embedding is of, as a store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..bundle.manifest import MOST_LABEL
from ..fields import Fields
from ..files import MOST_PATH
from ..settings import MOST_SECONDS

MOST_TEXT = 10_000


@dataclass(frozen=True)
class StoredClip:
    """One embedded recording, turn or window."""

    path: str
    """Printable path of the recording."""
    start: float | None = None
    """Seconds from the start of the recording; None for the whole of it."""
    end: float | None = None
    label: str | None = None
    """The true emotion, where it is known."""
    speaker: str | None = None
    corpus: str | None = None
    emotion: str | None = None
    """The answer of the model; None for one without a head."""
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    """Probability by label id."""
    text: str | None = None
    """The words, where a file of turns had them."""
    warnings: tuple[str, ...] = ()
    """Codes of the warnings about the recording, such as ``clipped``."""

    @property
    def place(self) -> tuple[str, float | None, float | None]:
        """Recording and times, which a store holds once."""
        return self.path, self.start, self.end

    @property
    def voice(self) -> str | None:
        """Speaker, unique across corpora."""
        return self.speaker and f"{self.corpus or ''}/{self.speaker}"

    @property
    def name(self) -> str:
        """Path and times for people."""
        if self.start is None or self.end is None:
            return self.path
        return f"{self.path} [{self.start:.2f}–{self.end:.2f} s]"


def clip_row(clip: StoredClip) -> dict[str, Any]:
    """A clip as a line of a store holds it, JSON-ready."""
    return {name: value for name, value in asdict(clip).items() if value not in (None, {}, ())}


def read_clip(fields: Fields) -> StoredClip:
    """The clip that a line of a store describes.

    Raises:
        StoreError: a field cannot be used; the message names it.
    """

    def text(name: str, most: int = MOST_TEXT) -> str | None:
        return fields.text(name, least=0, most=most) if fields.has(name) else None

    def seconds(name: str) -> float | None:
        return fields.number(name, least=0, most=MOST_SECONDS) if fields.has(name) else None

    scores: dict[str, float] = {}
    if fields.has("scores"):
        inner = fields.mapping("scores")
        scores = {name: inner.number(name, least=0, most=1) for name in inner.names(0, 1_000)}
    clip = StoredClip(
        path=fields.text("path", most=MOST_PATH),
        start=seconds("start"),
        end=seconds("end"),
        label=text("label", MOST_LABEL),
        speaker=text("speaker"),
        corpus=text("corpus"),
        emotion=text("emotion", MOST_LABEL),
        confidence=fields.number("confidence", least=0, most=1)
        if fields.has("confidence")
        else None,
        scores=scores,
        text=text("text"),
        warnings=fields.texts("warnings", most=100) if fields.has("warnings") else (),
    )
    fields.refuse_others()
    return clip

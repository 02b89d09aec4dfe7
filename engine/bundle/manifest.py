"""The description of a bundle: its model, origin, files and measurements.

A bundle is a folder: ``bundle.json`` and one folder for each variant (``fp32/``, ``int8/``,
``fp16/``), each with ``frontend.onnx`` and ``encoder.onnx``. ``bundle.json`` holds what is here,
and the checksum of every file. :mod:`.schema` reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..settings import Precision

SpaceMethod = Literal["lda", "whitening"]
"""Linear discriminants of labelled speech, or the covariance of any speech."""

SCHEMA = 3
"""Version of ``bundle.json`` that this engine writes. It reads all versions up to this: 2 brought
``head`` and ``calibration``, 3 ``space``, which earlier versions do not have."""

MANIFEST = "bundle.json"
CARD = "README.md"

GRAPHS = ("frontend", "encoder")
"""The two graphs of every variant, in the order in which audio passes them."""

LABEL_PATTERN = r"\S(.*\S)?"
"""Regular expression of a label's id: one line without space around it."""

MOST_LABEL = 100
"""Characters of a label."""

SAMPLE_RATE = 16_000
"""Hz; the rate that every recording is resampled to."""

BLOCK_VALUES = 2 << 20
"""Values of a layer that are computed at once."""

MOST_BLOCK_SECONDS = 10


@dataclass(frozen=True)
class Label:
    """One emotion."""

    id: str
    """Name used in every result."""
    display: str
    """Name to show."""

    @property
    def token(self) -> str:
        """The label's line in FunASR's ``tokens.txt``."""
        if self.id == "unknown":
            return "<unk>"
        return self.id if self.display == self.id else f"{self.display}/{self.id}"


@dataclass(frozen=True)
class AudioContract:
    """Input of the model, and its frames."""

    sample_rate: int
    """Hz; always :data:`SAMPLE_RATE`."""
    hop: int
    """Samples from one frame to the next."""
    receptive_field: int
    """Samples that one frame depends on; the shortest recording that can be recognized."""
    normalize: bool
    """True if the recording is brought to zero mean and unit variance before the front-end."""

    def frames(self, seconds: float) -> int:
        """Number of frames in so many seconds."""
        return round(seconds * self.sample_rate / self.hop)

    def frame_count(self, samples: int) -> int:
        """Number of frames of a waveform; 0 for less than one receptive field."""
        return max(0, (samples - self.receptive_field) // self.hop + 1)

    def sample_count(self, frames: int) -> int:
        """Number of samples that so many frames depend on."""
        return (frames - 1) * self.hop + self.receptive_field


@dataclass(frozen=True)
class Architecture:
    """Size of the model."""

    embed_dim: int
    heads: int
    """Attention heads of each block."""
    prenet_depth: int
    """Transformer blocks of the prenet."""
    depth: int
    """Transformer blocks after the prenet."""
    parameters: int
    """Number of weights."""
    frontend_values: int | None = None
    """Values that the widest layer of the front-end computes for each second of audio."""

    @property
    def block_seconds(self) -> float:
        """Seconds of audio that the front-end is best given at once: its widest layer fits a cache.

        For emotion2vec's own front-end, with 1.6 million values a second, 0.5 to 2 s measured
        alike, and faster than whole recordings. A narrow one is faster with fewer calls.
        """
        values = self.frontend_values or BLOCK_VALUES
        return float(min(MOST_BLOCK_SECONDS, max(1, BLOCK_VALUES // values)))


@dataclass(frozen=True)
class ModelSource:
    """Origin of the weights."""

    checkpoint: str
    """Name of the checkpoint."""
    licence: str
    origin: str | None = None
    """Hub that the checkpoint was fetched from, or ``local``."""
    revision: str | None = None
    """Revision on that hub."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Checksum of each file of the checkpoint."""
    head: Mapping[str, Any] | None = None
    """Speech that a head of one's own was fitted on, and its measurements."""


@dataclass(frozen=True)
class Calibration:
    """Temperature that makes confidence mean something, fitted on held-out speech."""

    temperature: float
    """Divisor of the logits."""
    fitted_on: str | None = None
    """The speech, in words."""
    ece_before: float | None = None
    """Expected calibration error on that speech at a temperature of 1."""
    ece: float | None = None
    """Expected calibration error at the fitted temperature."""


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle."""

    path: str
    """Path in the bundle, with forward slashes."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SameEmotion:
    """Logistic function from the cosine of two embeddings to the odds that they share an emotion.

    It holds for pairs of which half do; other shares move the odds.
    """

    slope: float
    offset: float
    ece: float | None = None
    """Expected calibration error on pairs of held-out speakers."""


@dataclass(frozen=True)
class SpaceRecord:
    """A space for the model's embeddings, in which those of one emotion lie close together."""

    file: BundleFile
    """The ``.npz`` with its arrays."""
    method: SpaceMethod
    labels: tuple[str, ...]
    """Labels that the discriminant of ``lda`` tells apart; empty for ``whitening``."""
    share: float
    """Weight of the discriminant's part of a vector, the rest being the centred embedding's."""
    emotions: int
    """Labels of the map from embeddings to the graphs' own logits; 0 without it."""
    same: Mapping[str, SameEmotion] = field(default_factory=dict)
    """Calibrations by name of the space: ``fitted``, ``raw``, ``emotion``."""
    fitted_on: str | None = None
    """The speech, in words."""
    corpora: tuple[str, ...] = ()
    """Names of the corpora that it was fitted on."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Measurements on held-out speakers and corpora."""


@dataclass(frozen=True)
class Variant:
    """One precision of the model."""

    files: tuple[BundleFile, ...]
    """``frontend.onnx`` and ``encoder.onnx`` and, beyond 2 GB, their external data."""
    providers: tuple[str, ...]
    """Names of the execution providers that it suits."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Settings it was made with."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Measurements of its quality gate."""

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """The content of ``bundle.json``."""

    name: str
    source: ModelSource
    architecture: Architecture
    labels: tuple[Label, ...]
    """Empty for a model without an emotion head."""
    audio: AudioContract
    tools: Mapping[str, str]
    """Version of each package that made the bundle."""
    opset: int
    """ONNX opset of the graphs."""
    variants: Mapping[Precision, Variant]
    created: str
    """Date, ISO 8601."""
    schema: int = SCHEMA
    head: BundleFile | None = None
    """``head.npz``, a head that replaces the graphs' own."""
    calibration: Calibration | None = None
    """None for a model whose confidence was not calibrated."""
    space: SpaceRecord | None = None
    """None for a model whose embeddings are compared as they are."""

    def to_json(self) -> str:
        """The text of ``bundle.json``.

        Raises:
            ValueError: a number is NaN or infinite.
        """
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def encoder_id(manifest: Manifest) -> str:
    """A name that bundles share if their encoders have the same weights, whatever their heads."""
    digests: Any = manifest.name
    if manifest.source.sha256:
        digests = manifest.source.sha256.get("model.pt", dict(manifest.source.sha256))
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:16]

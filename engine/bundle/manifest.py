"""The model bundle on disk: read it, verify it, describe it.

A bundle is a folder: ``bundle.json`` and one folder per variant (``fp32/``, ``int8/``, ``fp16/``),
each with ``frontend.onnx`` and ``encoder.onnx``. ``bundle.json`` says what the model is, where it
comes from and what was measured of it, and holds the checksum of every file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import BundleFormatError

SCHEMA = 2
"""Version of ``bundle.json`` that this engine writes. It reads all versions up to this: 2 brought
``head`` and ``calibration``, which version 1 is without."""

MANIFEST = "bundle.json"
CARD = "README.md"

GRAPHS = ("frontend", "encoder")
"""The two graphs of every variant, in the order in which sound passes them."""

BLOCK_VALUES = 2 << 20
"""Values of a layer that are computed at once."""

MOST_BLOCK_SECONDS = 10


@dataclass(frozen=True)
class Label:
    """One emotion: the id used in every result, and a name to show."""

    id: str
    display: str

    @property
    def token(self) -> str:
        """Its line in FunASR's ``tokens.txt``."""
        if self.id == "unknown":
            return "<unk>"
        return self.id if self.display == self.id else f"{self.display}/{self.id}"


@dataclass(frozen=True)
class AudioContract:
    """What the model hears."""

    sample_rate: int
    """Hz."""
    hop: int
    """Samples from one frame to the next."""
    receptive_field: int
    """Samples that one frame hears; the least that can be recognized."""
    normalize: bool
    """Whether the clip is brought to zero mean and unit variance before the front-end."""

    def frames(self, seconds: float) -> int:
        """Frames in so many seconds."""
        return round(seconds * self.sample_rate / self.hop)


@dataclass(frozen=True)
class BundleFile:
    """One file of a variant."""

    path: str
    """Relative to the bundle, with forward slashes."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Variant:
    """One precision of the model."""

    files: tuple[BundleFile, ...]
    """``frontend.onnx`` and ``encoder.onnx`` and, beyond 2 GB, their external data."""
    providers: tuple[str, ...]
    """Execution providers that it suits, by our names."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """How it was made."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What its gate measured."""

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """The content of ``bundle.json``."""

    name: str
    source: Mapping[str, Any]
    """Checkpoint, revision, sha256 of its files, licence."""
    architecture: Mapping[str, Any]
    labels: tuple[Label, ...]
    """Empty for a model without a head."""
    audio: AudioContract
    tools: Mapping[str, str]
    opset: int
    variants: Mapping[str, Variant]
    created: str
    """Date, ISO 8601."""
    schema: int = SCHEMA
    head: BundleFile | None = None
    """A head that takes the place of the graphs' own."""
    calibration: Mapping[str, Any] | None = None
    """``temperature``, and how it was fitted; None for a model that says what it says."""

    @property
    def block_seconds(self) -> float:
        """Seconds that the front-end is best given at once: its widest layer should fit the cache.

        Of emotion2vec's own, with 1.6 million values a second, 0.5 to 2 s measured alike, and
        faster than whole clips. A narrow one is faster where it is not called often.
        """
        values = self.architecture.get("frontend_values", BLOCK_VALUES)
        return float(min(MOST_BLOCK_SECONDS, max(1, BLOCK_VALUES // values)))

    def to_json(self) -> str:
        """The text of ``bundle.json``."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read and check a ``bundle.json``."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleFormatError(f"{path}: cannot be read as JSON: {error}") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema not in range(1, SCHEMA + 1):
        raise BundleFormatError(
            f"{path}: schema {schema!r} where this version reads 1 to {SCHEMA}; "
            "export the model again, or install the version that made it"
        )
    try:
        variants = {
            precision: Variant(
                files=tuple(_checked(BundleFile(**file)) for file in variant["files"]),
                providers=tuple(variant["providers"]),
                recipe=variant["recipe"],
                evidence=variant["evidence"],
            )
            for precision, variant in document["variants"].items()
        }
        manifest = Manifest(
            **{
                **document,
                "labels": tuple(Label(**label) for label in document["labels"]),
                "audio": AudioContract(**document["audio"]),
                "variants": variants,
                "schema": SCHEMA,
                "head": _checked(BundleFile(**document["head"])) if document.get("head") else None,
            }
        )
        audio = manifest.audio
        if min(audio.sample_rate, audio.hop, audio.receptive_field) < 1 or not variants:
            raise ValueError("audio sizes must be positive and there must be a variant")
        if manifest.calibration is not None:
            checked_temperature(manifest.calibration)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BundleFormatError(f"{path}: not a manifest of schema {schema}: {error!r}") from None
    return manifest


def checked_temperature(calibration: Mapping[str, Any]) -> float:
    """The temperature of a calibration; TypeError, KeyError or ValueError if it has none."""
    temperature = float(calibration["temperature"])
    if not 0 < temperature < math.inf:
        raise ValueError(f"a temperature of {temperature}")
    return temperature


def _checked(file: BundleFile) -> BundleFile:
    """Refuse a file entry that points out of the bundle or holds something else than a checksum."""
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or "\\" in file.path:
        raise ValueError(f"file {file.path!r} points out of the bundle")
    if not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise ValueError(f"file {file.path!r} has no sha256")
    return file

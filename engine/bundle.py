"""The model bundle on disk: read it, verify it, describe it.

A bundle is a folder: ``bundle.json`` and one folder per variant (``fp32/``, ``int8/``, ``fp16/``),
each with ``frontend.onnx`` and ``encoder.onnx``. ``bundle.json`` says what the model is, where it
comes from and what was measured of it, and holds the checksum of every file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from .errors import (
    BundleFormatError,
    BundleNotFoundError,
    BundleTamperedError,
    VariantNotFoundError,
)

if TYPE_CHECKING:
    from .head import Head

SCHEMA = 2
"""Version of ``bundle.json`` that this engine writes. It reads all versions up to this: 2 brought
``head`` and ``calibration``, which version 1 is without."""

MANIFEST = "bundle.json"
CARD = "README.md"

MODEL_VARIABLE = "E2V_MODEL"
"""Environment variable that names the default model, as a path or an embedded name."""

CACHE_VARIABLE = "E2V_CACHE"
"""Environment variable that moves the cache folder."""

GRAPHS = ("frontend", "encoder")
"""The two graphs of every variant, in the order in which sound passes them."""

BLOCK_VALUES = 2 << 20
"""Values of a layer that are computed at once."""

MOST_BLOCK_SECONDS = 10

EMBEDDED = Path(__file__).parent / "models"
DEFAULT_NAME = "emotion2vec_small"


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


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest has been read."""

    folder: Path
    manifest: Manifest

    def variant(self, precision: str) -> Variant:
        """The variant of one precision.

        Raises:
            VariantNotFoundError: the bundle does not have it.
        """
        try:
            return self.manifest.variants[precision]
        except KeyError:
            have = ", ".join(self.manifest.variants)
            raise VariantNotFoundError(
                f"{self.folder}: no {precision} variant; it has {have}"
            ) from None

    def graphs(self, precision: str) -> dict[str, Path]:
        """Paths of both graphs of a variant, by ``frontend`` and ``encoder``."""
        return {graph: self.graph(precision, graph) for graph in GRAPHS}

    def graph(self, precision: str, graph: str) -> Path:
        """Path of ``frontend.onnx`` or ``encoder.onnx`` of a variant."""
        name = f"{graph}.onnx"
        for file in self.variant(precision).files:
            if PurePosixPath(file.path).name == name:
                return self.folder / file.path
        raise BundleFormatError(f"{self.folder}: variant {precision} lists no {name}")

    def head(self) -> Head:
        """What makes logits of the encoder's frames.

        Raises:
            BundleTamperedError: its file is missing or differs.
            BundleFormatError: its file is no head.
        """
        from .head import Head, read_head  # numpy, which reading a manifest does without

        calibration = self.manifest.calibration
        temperature = 1.0 if calibration is None else checked_temperature(calibration)
        if self.manifest.head is None:
            return Head(temperature=temperature)
        self._verify([self.manifest.head])
        path = self.folder / self.manifest.head.path
        return Head(*read_head(path, len(self.manifest.labels)), temperature)

    def verify(self, precision: str) -> None:
        """Compare the files of a variant with the checksums of ``bundle.json``.

        A file that matched once is not read again as long as its size and time stay the same.

        Raises:
            BundleTamperedError: a file is missing or differs.
        """
        self._verify(self.variant(precision).files)

    def _verify(self, files: Iterable[BundleFile]) -> None:
        seen = _SeenFiles()
        for file in files:
            path = self.folder / file.path
            try:
                size = path.stat().st_size
            except OSError as error:
                raise BundleTamperedError(f"{path}: {error.strerror}; {_REMEDY}") from None
            if size != file.bytes:
                raise BundleTamperedError(
                    f"{path}: {size} bytes where {MANIFEST} says {file.bytes}; {_REMEDY}"
                )
            if not seen.holds(path, file.sha256):
                digest = sha256_of(path)
                if digest != file.sha256:
                    raise BundleTamperedError(
                        f"{path}: sha256 is {digest[:12]}… where {MANIFEST} says "
                        f"{file.sha256[:12]}…; {_REMEDY}"
                    )
                seen.add(path, file.sha256)
        seen.save()


_REMEDY = "copy or export the bundle again"


def find_bundle(model: str | os.PathLike[str] | None = None) -> Path:
    """Where a model lies: a bundle's path, an embedded name, or the default.

    The default is ``$E2V_MODEL`` where that is set, else the embedded one.

    Raises:
        BundleNotFoundError: nothing is there; the message says what could be.
    """
    origin = ""
    if model is None:
        model = os.environ.get(MODEL_VARIABLE)
        if not model:  # not by its name: a folder of that name may lie where we are
            return EMBEDDED / DEFAULT_NAME
        origin = f" (from {MODEL_VARIABLE})"
    path = Path(model)
    if path.name == MANIFEST and path.is_file():
        return path.parent
    if (path / MANIFEST).is_file():
        return path
    if str(model) in embedded_names():
        return EMBEDDED / str(model)
    what = f"it has no {MANIFEST}" if path.exists() else "there is no such path"
    raise BundleNotFoundError(
        f"{model}{origin}: not a model bundle, {what}; give the path of a bundle made by "
        f"'e2v export', or one of the embedded models: {', '.join(embedded_names()) or 'none'}"
    )


def embedded_names() -> list[str]:
    """Names of the models inside the package."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{MANIFEST}"))


def open_bundle(model: str | os.PathLike[str] | None = None) -> Bundle:
    """Find a bundle and read its manifest.

    Raises:
        BundleNotFoundError: there is none.
        BundleFormatError: its manifest cannot be used.
    """
    folder = find_bundle(model)
    return Bundle(folder, read_manifest(folder / MANIFEST))


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


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def variant_files(folder: Path, variant: str) -> tuple[BundleFile, ...]:
    """The files of a variant with their sizes and checksums."""
    return tuple(
        BundleFile(f"{variant}/{path.name}", path.stat().st_size, sha256_of(path))
        for path in sorted((folder / variant).iterdir())
    )


def cache_folder() -> Path:
    """Where what can be computed again is kept: ``$E2V_CACHE``, else the user's cache folder."""
    if override := os.environ.get(CACHE_VARIABLE):
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "emotion2vec-edge"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it: nobody ever sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class _SeenFiles:
    """Files whose checksum was right, remembered by path, size and time of change.

    A cache that cannot be read or written costs time and nothing else.
    """

    def __init__(self) -> None:
        self.changed = False
        self.path: Path | None = None
        content = None
        # RuntimeError: a user without a home folder
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self.path = cache_folder() / "verified.json"
            content = json.loads(self.path.read_text(encoding="utf-8"))
        self.digests: dict[str, str] = content if isinstance(content, dict) else {}

    @staticmethod
    def _key(path: Path) -> str:
        stat = path.stat()
        return f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"

    def holds(self, path: Path, digest: str) -> bool:
        return self.digests.get(self._key(path)) == digest

    def add(self, path: Path, digest: str) -> None:
        self.digests[self._key(path)] = digest
        self.changed = True

    def save(self) -> None:
        if self.path is None or not self.changed:
            return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, json.dumps(self.digests).encode())

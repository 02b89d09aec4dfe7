"""Reading of ``bundle.json``: every field with its type and its limits.

The limits are far beyond any real model. They keep a damaged or hostile manifest from making the
engine hang, fill the memory or fail in a way that names nothing.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import cast, get_args

from ..errors import BundleFormatError
from ..fields import Fields, read_json
from ..settings import PRECISIONS, Precision
from .manifest import (
    GRAPHS,
    LABEL_PATTERN,
    MOST_LABEL,
    SAMPLE_RATE,
    SCHEMA,
    Architecture,
    AudioContract,
    BundleFile,
    Calibration,
    Label,
    Manifest,
    ModelSource,
    SameEmotion,
    SpaceMethod,
    SpaceRecord,
    Variant,
)

MOST_FILE_BYTES = 1 << 40
MOST_LABELS = 1_000
MOST_FILES = 1_000
MOST_FIELD_SECONDS = 10
MOST_EMBED_DIM = 1 << 14
MOST_BLOCKS = 1_000
MOST_SLOPE = 1_000
TEMPERATURES = (0.01, 100.0)
"""Fitted temperatures lie between 0.05 and 20."""


def read_manifest(path: Path) -> Manifest:
    """Read and check a ``bundle.json``.

    Raises:
        BundleFormatError: it cannot be read, or a field cannot be used; the message names it.
    """
    fields = read_json(path, BundleFormatError)
    schema = fields.values.get("schema")
    if isinstance(schema, bool) or schema not in range(1, SCHEMA + 1):
        raise fields.wrong(
            "schema",
            f"1 to {SCHEMA} for this version of e2v (export the model again, or install the "
            "version that made it)",
            schema,
        )
    fields.integer("schema")
    return _manifest(fields)


def read_calibration(fields: Fields) -> Calibration:
    """Read the temperature of a model and how it was fitted.

    Raises:
        E2VError: of the class of ``fields``.
    """
    least, most = TEMPERATURES
    return Calibration(
        temperature=fields.number("temperature", least=least, most=most),
        fitted_on=_optional_text(fields, "fitted_on"),
        ece_before=_share(fields, "ece_before"),
        ece=_share(fields, "ece"),
    )


def _manifest(fields: Fields) -> Manifest:
    manifest = Manifest(
        name=fields.text("name", most=200),
        source=fields.record("source", _source),
        architecture=fields.record("architecture", _architecture),
        labels=fields.records("labels", _label, most=MOST_LABELS),
        audio=fields.record("audio", _audio),
        tools=fields.named_texts("tools", most=100),
        opset=fields.integer("opset", most=1_000),
        variants=_variants(fields),
        created=fields.text("created", most=40),
        head=fields.optional("head", _file),
        calibration=fields.optional("calibration", read_calibration),
        space=fields.optional("space", _space),
    )
    fields.refuse_others()
    ids = [label.id for label in manifest.labels]
    if len(set(ids)) < len(ids):
        raise fields.wrong("labels", "labels of different ids", ids)
    if manifest.head is not None and not ids:
        raise fields.wrong("labels", "those of the head", ids)
    return manifest


def _source(fields: Fields) -> ModelSource:
    return ModelSource(
        checkpoint=fields.text("checkpoint"),
        licence=fields.text("licence"),
        origin=_optional_text(fields, "origin"),
        revision=_optional_text(fields, "revision"),
        sha256=fields.named_texts("sha256", most=MOST_FILES) if fields.has("sha256") else {},
        head=fields.free("head") if fields.has("head") else None,
    )


def _architecture(fields: Fields) -> Architecture:
    values = "frontend_values"
    return Architecture(
        embed_dim=fields.integer("embed_dim", most=MOST_EMBED_DIM),
        heads=fields.integer("heads", most=MOST_EMBED_DIM),
        prenet_depth=fields.integer("prenet_depth", least=0, most=MOST_BLOCKS),
        depth=fields.integer("depth", least=0, most=MOST_BLOCKS),
        parameters=fields.integer("parameters", least=0, most=1 << 40),
        frontend_values=fields.integer(values, most=1 << 40) if fields.has(values) else None,
    )


def _label(fields: Fields) -> Label:
    return Label(
        id=fields.text("id", most=MOST_LABEL, pattern=LABEL_PATTERN, allowed="one line of text"),
        display=fields.text(
            "display", least=0, most=MOST_LABEL, pattern=".*", allowed="one line of text"
        ),
    )


def _audio(fields: Fields) -> AudioContract:
    return AudioContract(
        sample_rate=fields.integer("sample_rate", least=SAMPLE_RATE, most=SAMPLE_RATE),
        hop=fields.integer("hop", most=SAMPLE_RATE),
        receptive_field=fields.integer("receptive_field", most=MOST_FIELD_SECONDS * SAMPLE_RATE),
        normalize=fields.boolean("normalize"),
    )


def _space(fields: Fields) -> SpaceRecord:
    methods = get_args(SpaceMethod)
    method = fields.text("method", pattern="|".join(methods), allowed=" or ".join(methods))
    return SpaceRecord(
        file=fields.record("file", _file),
        method=cast("SpaceMethod", method),
        labels=fields.texts("labels", least=2 if method == "lda" else 0, most=MOST_LABELS),
        share=fields.number("share", least=0, most=1),
        emotions=fields.integer("emotions", least=0, most=MOST_LABELS),
        same=fields.named_records("same", _same_emotion, most=10),
        fitted_on=_optional_text(fields, "fitted_on"),
        corpora=fields.texts("corpora", most=1_000),
        evidence=fields.free("evidence"),
    )


def _same_emotion(fields: Fields) -> SameEmotion:
    return SameEmotion(
        slope=fields.number("slope", least=0, most=MOST_SLOPE),
        offset=fields.number("offset", least=-MOST_SLOPE, most=MOST_SLOPE),
        ece=_share(fields, "ece"),
    )


def _variants(fields: Fields) -> dict[Precision, Variant]:
    variants = fields.named_records("variants", _variant, least=1, most=len(PRECISIONS))
    if unknown := sorted(variants.keys() - set(PRECISIONS)):
        raise fields.wrong("variants", f"of the precisions {', '.join(PRECISIONS)}", unknown)
    return cast("dict[Precision, Variant]", variants)


def _variant(fields: Fields) -> Variant:
    variant = Variant(
        files=fields.records("files", _file, most=MOST_FILES),
        providers=fields.texts("providers", most=100),
        recipe=fields.free("recipe"),
        evidence=fields.free("evidence"),
    )
    paths = [file.path for file in variant.files]
    names = [PurePosixPath(path).name for path in paths]
    for graph in GRAPHS:
        if names.count(f"{graph}.onnx") != 1:
            raise fields.wrong("files", f"a list with one {graph}.onnx", paths)
    if len(set(paths)) < len(paths):
        raise fields.wrong("files", "a list of different files", paths)
    return variant


def _file(fields: Fields) -> BundleFile:
    path = fields.text("path")
    parts = PurePosixPath(path).parts
    # In its plainest form, so that two files of one path are the same text.
    if path != "/".join(parts) or ".." in parts or "\\" in path or not path.isprintable():
        raise fields.wrong("path", "a path inside the bundle, such as fp32/encoder.onnx", path)
    return BundleFile(
        path,
        bytes=fields.integer("bytes", least=0, most=MOST_FILE_BYTES),
        sha256=fields.text("sha256", pattern="[0-9a-f]{64}", allowed="64 hexadecimal digits"),
    )


def _optional_text(fields: Fields, key: str) -> str | None:
    return fields.text(key, least=0) if fields.has(key) else None


def _share(fields: Fields, key: str) -> float | None:
    return fields.number(key, least=0, most=1) if fields.has(key) else None

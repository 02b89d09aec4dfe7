"""Variants in a bundle's folder: written beside, and switched in by ``bundle.json`` alone.

The graphs of a new variant lie in a folder of their own, which no reader knows before the manifest
names it. Whenever the process is killed, the bundle is the old or the new one, whole; folders that
the manifest does not name are removed by the next run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import onnx

from emotion2vec_edge.engine.bundle.bundle import Bundle
from emotion2vec_edge.engine.bundle.integrity import variant_files
from emotion2vec_edge.engine.bundle.manifest import MANIFEST, BundleFile, Manifest, Variant
from emotion2vec_edge.engine.bundle.schema import read_manifest
from emotion2vec_edge.engine.errors import BundleTamperedError
from emotion2vec_edge.engine.files import (
    locked_folder,
    reported,
    temporary_folder,
    write_file,
)

from .choices import Quantized
from .rewrites.graph import Graphs


@dataclass(frozen=True)
class NewVariant:
    """A variant that passed the gate."""

    precision: Quantized
    graphs: Graphs
    providers: tuple[str, ...]
    """Names of the execution providers that it suits."""
    recipe: Mapping[str, Any]
    evidence: Mapping[str, Any]


def add_variant(bundle: Bundle, new: NewVariant) -> Variant:
    """Write a variant into a bundle, or replace the one of the same precision.

    Raises:
        BundleTamperedError: the fp32 variant has changed since the bundle was opened.
        OutputError: the variant cannot be written; the bundle is as it was.
    """
    folder = bundle.folder
    with reported(folder / new.precision), locked_folder(folder):
        manifest = read_manifest(folder / MANIFEST)
        if manifest.variants.get("fp32") != bundle.manifest.variants["fp32"]:
            raise BundleTamperedError(f"{folder}: fp32 has changed meanwhile; quantize it again")
        _remove_leftovers(folder, manifest, new.precision)
        with temporary_folder(folder / new.precision) as temporary:
            graphs = temporary / new.precision
            graphs.mkdir()
            for name, graph in new.graphs.items():
                onnx.save_model(graph, graphs / f"{name}.onnx")
            files = variant_files(temporary, new.precision)
            place = folder / _folder_name(folder, manifest, new.precision, files)
            variant = Variant(
                tuple(
                    dataclasses.replace(file, path=f"{place.name}/{PurePosixPath(file.path).name}")
                    for file in files
                ),
                new.providers,
                new.recipe,
                new.evidence,
            )
            variants = {**manifest.variants, new.precision: variant}
            changed = dataclasses.replace(manifest, variants=variants)
            _switch(graphs, place, changed)
        _remove_leftovers(folder, changed, new.precision)
    return variant


def _switch(graphs: Path, place: Path, manifest: Manifest) -> None:
    """Rename the graphs to their place and let the manifest name them."""
    added, scratch = not place.exists(), graphs.parent
    try:
        if added:
            graphs.replace(place)
        text = manifest.to_json().encode()
        write_file(place.parent / MANIFEST, text, scratch=scratch)
    except BaseException:
        if added:
            shutil.rmtree(place, ignore_errors=True)
        raise


def _folder_name(
    folder: Path, manifest: Manifest, precision: Quantized, files: Sequence[BundleFile]
) -> str:
    """Name of the folder for these files: the precision and, where that is taken, their digest."""
    present = manifest.variants.get(precision)
    digests = [file.sha256 for file in files]
    if present is not None and [file.sha256 for file in present.files] == digests:
        return PurePosixPath(present.files[0].path).parts[0]
    if not (folder / precision).exists():
        return precision
    return f"{precision}-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:8]}"


def _remove_leftovers(folder: Path, manifest: Manifest, precision: Quantized) -> None:
    """Remove folders of a precision that the manifest does not name, and temporary ones."""
    named = {
        PurePosixPath(file.path).parts[0]
        for variant in manifest.variants.values()
        for file in variant.files
    }
    leftover = re.compile(rf"{precision}(-[0-9a-f]{{8}})?|\.{precision}\.\w+")
    for path in folder.iterdir():
        if path.name not in named and leftover.fullmatch(path.name) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)

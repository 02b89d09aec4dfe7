"""Bundles to add variants to, and variants that differ in their files and not in their answers."""

import dataclasses
import shutil
from pathlib import Path

import onnx
from folders import snapshot

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle.hub import bundle_files
from emotion2vec_edge.quantize.variants import NewVariant, add_variant


def fp32_alone(folder):
    """Copy the embedded model in fp32 alone; returns the folder."""
    embedded = open_bundle("emotion2vec_small")
    shutil.copytree(embedded.folder, folder)
    shutil.rmtree(folder / "int8")
    manifest = dataclasses.replace(
        embedded.manifest, variants={"fp32": embedded.manifest.variants["fp32"]}
    )
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


def int8_variants():
    """Two INT8 variants, ``first`` and ``second`` by their recipes."""
    embedded = open_bundle("emotion2vec_small")
    made = []
    for name in ("first", "second"):
        graphs = {graph: onnx.load(path) for graph, path in embedded.graphs("int8").items()}
        for model in graphs.values():
            model.doc_string = name
        made.append(NewVariant("int8", graphs, ("cpu",), {"name": name}, {}))
    return made


def add(folder, variant):
    """Add a variant to the bundle in a folder."""
    return add_variant(open_bundle(folder), variant)


def check_whole(folder, allowed):
    """Every variant that the manifest names is there, and INT8 is one of those allowed."""
    bundle = open_bundle(folder)
    for precision in bundle.manifest.variants:
        bundle.verify(precision)
    found = bundle.manifest.variants.get("int8")
    assert (found and found.recipe["name"]) in allowed
    return bundle


def check_nothing_else(folder):
    """The folder holds the files that the manifest names and no others."""
    manifest = open_bundle(folder).manifest
    named = {Path(file.path) for file in bundle_files(manifest)}
    assert set(snapshot(folder)) == {Path("bundle.json"), Path("README.md"), *named}
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        path.parts[0] for path in named if len(path.parts) > 1
    }

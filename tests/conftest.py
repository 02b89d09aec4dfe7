"""Fixtures: the embedded model, the example recordings, and, where they lie beside the checkout, the
shared speech and checkpoints, which do not ship with the project."""

from __future__ import annotations

import csv
import dataclasses
import fcntl
import os
import shutil
import signal
import warnings
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from commands import e2v

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio, open_bundle
from emotion2vec_edge.engine.runtime.hardware import usable_threads

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A job in the background of a shell ignores Ctrl-C, and one under nohup SIGHUP; some tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Each of pytest's worker processes, and all that it starts, has a processor to itself: sessions with a
# thread for each processor would wait for those of the other workers.
if (number := os.environ.get("PYTEST_XDIST_WORKER", "gw").removeprefix("gw")) and hasattr(
    os, "sched_setaffinity"
):
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[int(number) % len(processors)]})

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("E2V_SHARED", ROOT.parent / "shared"))


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    """No test reads or fills the user's cache, nor follows the user's default model."""
    monkeypatch.setenv("E2V_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("E2V_MODEL", raising=False)


@pytest.fixture(scope="session")
def recognizer():
    """The embedded model in fp32, which is exact; what runs by default is its INT8.

    It takes all processors always, so that its sessions do not depend on other work.
    """
    return Recognizer.load(precision="fp32", threads=usable_threads())


@pytest.fixture(scope="session")
def embedding_shape():
    return (open_bundle().manifest.architecture.embed_dim,)


@pytest.fixture(scope="session")
def example():
    return example_recordings()[0]


@pytest.fixture(scope="session")
def example_samples(example):
    return load_audio(example).samples


@pytest.fixture(scope="session")
def small_checkpoint():
    folder = SHARED / "checkpoints" / "small"
    if not (folder / "model.pt").is_file():
        pytest.skip(f"SKIPPED LOUDLY: no trained checkpoint at {folder}")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Makes a folder that all processes of the tests share: the first one that needs it fills it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder(name, fill):
        made, part = root / name, root / f"{name}.part"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                fill(part)
                part.rename(made)
        return made

    return folder


@pytest.fixture(scope="session")
def small_export(small_checkpoint, made_once):
    """The trained checkpoint after ``e2v export``: bundle in all precisions, and both outputs."""

    def fill(folder):
        done = e2v("export", small_checkpoint, "-o", folder / "small", "--offline", "--precision",
                   "int8", "--precision", "fp16", E2V_CACHE=str(folder / "cache"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        (folder / "stdout").write_bytes(done.stdout)
        (folder / "stderr").write_bytes(done.stderr)

    return made_once("small-export", fill)


@pytest.fixture(scope="session")
def small_bundle(small_export, tmp_path_factory):
    """The trained checkpoint as a bundle, fp32 and INT8."""
    folder = tmp_path_factory.mktemp("bundle") / "small"
    shutil.copytree(small_export / "small", folder, ignore=shutil.ignore_patterns("fp16"))
    manifest = open_bundle(folder).manifest
    variants = {name: manifest.variants[name] for name in ("fp32", "int8")}
    manifest = dataclasses.replace(manifest, variants=variants)
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def speech_manifest():
    """CSV of the labelled speech."""
    manifest = SHARED / "speech" / "manifest.csv"
    if not manifest.is_file():
        pytest.skip(f"SKIPPED LOUDLY: no speech at {manifest.parent}")
    return manifest


@pytest.fixture(scope="session")
def test_clips(speech_manifest):
    """One labelled recording of each corpus with the small model's test split: paths."""
    clips: dict[str, Path] = {}
    with speech_manifest.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "test":
                clips.setdefault(row["path"].split("/")[0], speech_manifest.parent / row["path"])
    return [clips[corpus] for corpus in ("ased", "emodb", "nemo", "ravdess")]


@pytest.fixture(scope="session")
def funasr_model():
    """FunASR's own Emotion2vec class: the oracle."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from funasr.models.emotion2vec.model import Emotion2vec
        except ImportError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"SKIPPED LOUDLY: FunASR, the oracle, cannot be imported: {error}")
    return Emotion2vec


@pytest.fixture
def rng():
    return np.random.default_rng(20261124)

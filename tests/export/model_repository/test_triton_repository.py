"""Model repositories of Triton, read by Triton's own message and run by a stand-in for it."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import e2v
from triton_server import Repository, StandInTriton

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio, open_bundle
from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.bundle.manifest import BundleFile
from emotion2vec_edge.engine.errors import (
    BundleTamperedError,
    OptionError,
    ParityError,
    VariantNotFoundError,
)
from emotion2vec_edge.export.model_repository import repository as module
from emotion2vec_edge.export.model_repository.models import RepositorySettings
from emotion2vec_edge.export.model_repository.repository import write_repository

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "triton_repository.py"


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(open_bundle("emotion2vec_small").folder, folder)
    return open_bundle(folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triton") / "repository"
    settings = RepositorySettings(name="emo", precision="fp32", max_batch=4)
    assert write_repository(open_bundle("emotion2vec_small"), folder, settings).difference < 1e-6
    return folder


def test_a_padded_batch_gives_the_answers_of_each_recording(written, recognizer):
    clips = [load_audio(path).samples for path in example_recordings()] + [np.ones(400, np.float32)]
    waveform = np.full((len(clips), max(map(len, clips)) + 999), 0.3, np.float32)  # any padding
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = clip
    lengths = np.array([[len(clip)] for clip in clips], np.int64)
    found = Repository(written).infer("emo", {"waveform": waveform, "lengths": lengths})
    for number, clip in enumerate(clips):
        encoding = recognizer.encode(clip, 16_000)
        assert np.allclose(found["embedding"][number], encoding.embedding(), atol=1e-5)
        scores = encoding.utterance().scores
        labels = (written / "emo" / "labels.txt").read_text().split()
        expected = [scores[label] for label in labels]
        assert np.allclose(found["scores"][number], expected, atol=1e-5)


def test_the_configuration_says_where_and_how_together(written, tmp_path):
    configs = Repository(written).configs
    assert set(configs) == {"emo", "emo_normalize", "emo_frontend", "emo_encoder", "emo_pool"}
    assert configs["emo"].parameters["sample_rate"].string_value == "16000"
    for name in ("emo_frontend", "emo_encoder"):
        assert configs[name].dynamic_batching.max_queue_delay_microseconds == 2_000
        assert configs[name].instance_group[0].kind == configs[name].instance_group[0].KIND_CPU
    settings = RepositorySettings("gpu", instances=2)
    assert write_repository(open_bundle(), tmp_path / "gpu", settings).precision == "fp32"
    configs = Repository(tmp_path / "gpu").configs
    group = configs["emotion2vec_small_encoder"].instance_group[0]
    assert (group.kind, group.count) == (group.KIND_GPU, 2)
    assert configs["emotion2vec_small"].max_batch_size == 16
    group = configs["emotion2vec_small_pool"].instance_group[0]
    assert group.kind == group.KIND_CPU


def test_the_warm_ups_are_requests_that_the_models_take(written):
    repository = Repository(written)
    assert repository.warm_up("emo_frontend") == repository.warm_up("emo_encoder") == 2


def test_a_head_of_the_bundle_replaces_that_of_the_graph(bundle, tmp_path, rng):
    labels = bundle.manifest.labels[:3]
    dim = bundle.manifest.architecture.embed_dim
    path = bundle.folder / "head.npz"
    weight = rng.standard_normal((3, dim), np.float32)
    np.savez(path, weight=weight, bias=rng.standard_normal(3, np.float32))
    head = BundleFile("head.npz", path.stat().st_size, sha256_of(path))
    manifest = dataclasses.replace(bundle.manifest, head=head, labels=labels)
    (bundle.folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    out = tmp_path / "out"
    settings = RepositorySettings(precision="fp32")
    written = write_repository(open_bundle(bundle.folder), out, settings)
    assert written.difference < 1e-6
    config = Repository(out).configs["emotion2vec_small_pool"]
    assert [tensor.name for tensor in config.input] == ["frames", "lengths"]


def test_what_cannot_be_written_is_refused_and_leaves_nothing(bundle, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(VariantNotFoundError, match="no fp16 variant"):
        write_repository(bundle, out, RepositorySettings(precision="fp16"))
    with pytest.raises(OptionError, match="not a name"):
        RepositorySettings(name="a/b")
    monkeypatch.setitem(module.MOST_SCORE_DIFFERENCE, "int8", 0.0)
    with pytest.raises(ParityError, match="differ from the engine"):
        write_repository(bundle, out)
    monkeypatch.undo()
    graph = bundle.graph("int8", "encoder")
    content = graph.read_bytes()
    graph.write_bytes(content[:-1])
    with pytest.raises(BundleTamperedError):
        write_repository(bundle, out)
    assert not out.exists() or not list(out.iterdir())
    graph.write_bytes(content)
    write_repository(bundle, out)
    with pytest.raises(OptionError, match="has a model emotion2vec_small already"):
        write_repository(bundle, out)
    write_repository(bundle, out, RepositorySettings(name="second"))
    assert len(list(out.iterdir())) == 10


@pytest.mark.slow
def test_the_command_and_the_client_that_pads(tmp_path):
    done = e2v("triton", "emotion2vec_small", "-o", tmp_path / "out", "--precision", "fp32")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"emotion2vec_small, fp32 on the cpu; differs from the engine by at most" in done.stdout
    server = StandInTriton(tmp_path / "out")
    try:
        paths = [str(path) for path in example_recordings()]
        client = [sys.executable, EXAMPLE, server.address, "emotion2vec_small", *paths]
        shown = subprocess.run(client, capture_output=True, text=True, check=True).stdout
    finally:
        server.close()
    recognizer = Recognizer.load(precision="fp32")
    expected = [recognizer.recognize(path) for path in paths]
    assert shown.splitlines() == [
        f"{utterance.emotion}\t{utterance.confidence:.2f}\t{path}"
        for utterance, path in zip(expected, paths, strict=True)
    ]

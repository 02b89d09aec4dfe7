"""`e2v cluster`, `drift` and `map`, as a user runs them."""

import json

import numpy as np
import pytest
from commands import e2v

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.store import Store


def filled(folder, seed, shift):
    manifest = open_bundle().manifest
    dim = manifest.architecture.embed_dim
    rng = np.random.default_rng(seed)
    store = Store.open(folder, manifest)
    vectors = 3 * np.eye(2, dim)[np.arange(40) % 2] + 0.2 * rng.standard_normal((40, dim)) + shift
    clips = [
        StoredClip(f"{seed}-{n}.wav", label=("sad", "happy")[n % 2], emotion="sad",
                   scores={"sad": 0.6, "happy": 0.4})
        for n in range(40)
    ]  # fmt: skip
    store.append(vectors.astype(np.float32), clips)
    return folder


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return filled(folder / "before", 0, 0.0), filled(folder / "after", 1, 0.3)


@pytest.mark.slow
def test_clusters_are_told_and_drawn(stores, tmp_path):
    pytest.importorskip("sklearn", reason="SKIPPED LOUDLY: scikit-learn is not installed")
    clusters = tmp_path / "clusters.jsonl"
    done = e2v("cluster", stores[0], "--space", "raw", "--format", "json", "-o", clusters)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["purity"] == 1
    assert len(clusters.read_text().splitlines()) == 40
    done = e2v("map", stores[0], "--space", "raw", "--clusters", clusters, "-o", tmp_path / "m.html",
               "--png", tmp_path / "m.png")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    assert b'"cluster":{"names":["0: sad 60%' in (tmp_path / "m.html").read_bytes()
    assert (stores[0] / "plane-raw.npz").is_file()
    assert len(Store(stores[0]).read().clips) == 40  # the plane is no block


@pytest.mark.slow
def test_the_path_of_a_recording_is_drawn(stores, tmp_path):
    folder = tmp_path / "parts"
    store = Store.open(folder, open_bundle().manifest)
    vectors = np.random.default_rng(0).standard_normal((6, store.dim)).astype(np.float32)
    store.append(
        vectors, [StoredClip("in/a.wav", float(n), n + 1.0, emotion="sad") for n in range(6)]
    )
    done = e2v("map", folder, "--space", "raw", "--trajectory", "a.wav", "-o", tmp_path / "m.html",
               "--png", tmp_path / "m.png")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b'"trajectory":0' in (tmp_path / "m.html").read_bytes()
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    done = e2v("map", stores[0], "--trajectory", "a.wav", "-o", tmp_path / "n.html")
    assert (done.returncode, b"embed with --turns or --window" in done.stderr) == (2, True)
    assert not (tmp_path / "n.html").exists()


def test_a_change_is_told(stores):
    done = e2v("drift", *stores)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"changed: energy distance")
    same = e2v("drift", stores[0], stores[0], "--format", "json")
    assert not json.loads(same.stdout)["changed"]


def test_bad_stores_are_named(stores, tmp_path):
    for verb in ("cluster", "map", "drift"):
        args = (verb, tmp_path, tmp_path) if verb == "drift" else (verb, tmp_path)
        done = e2v(*args)
        assert (done.returncode, b"no store of embeddings" in done.stderr) == (2, True)
    done = e2v("map", stores[0], "--method", "tsne", "--plane", "x.npz")
    assert done.returncode == 2
    done = e2v("map", stores[0], "-o", tmp_path / "m.html", "--png", tmp_path / "m.gif")
    assert done.returncode == 2

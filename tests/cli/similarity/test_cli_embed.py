"""`e2v embed`, `search` and `similar`, as a user runs them."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
from commands import e2v

from emotion2vec_edge.engine import embedder, example_recordings, open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.cli.similarity import embed
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.store import Store
from emotion2vec_edge.engine.settings import IntakeSettings


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "store"
    done = e2v("embed", *example_recordings(), "-o", folder)
    assert done.returncode == 0, done.stderr
    assert b"3 embeddings added" in done.stderr
    return folder


def test_a_store_grows_and_embeds_nothing_twice(store, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    (tmp_path / "text.wav").write_text("not audio")
    done = e2v("embed", *example_recordings(), tmp_path / "text.wav", "-o", copy)
    assert done.returncode == 1
    assert b"text.wav" in done.stderr
    assert b"0 embeddings added, 3 recordings there already" in done.stderr
    done = e2v("embed", example_recordings()[0], "-o", copy, "--window", 1)
    assert done.returncode == 0
    assert sum(1 for clip in Store(copy).clips() if clip.start is not None) >= 5


def test_the_nearest_of_a_store_are_found_best_first(store):
    query = example_recordings()[0]
    done = e2v("search", store, query, "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2  # not the query itself
    assert rows[0]["cosine"] >= rows[1]["cosine"]
    assert 0 < rows[0]["same_emotion"] < 1
    table = e2v("search", store, query, "--space", "raw", "--top", 1)
    assert len(table.stdout.splitlines()) == 1


@pytest.mark.skipif(
    importlib.util.find_spec("usearch") is None, reason="SKIPPED LOUDLY: usearch is not installed"
)
def test_an_approximate_search_finds_the_same(store, tmp_path):
    copy, query = tmp_path / "copy", example_recordings()[0]
    shutil.copytree(store, copy)
    exact = e2v("search", copy, query, "--format", "json")
    first = e2v("search", copy, query, "--format", "json", "--approximate")
    assert b"3 embeddings added to its index" in first.stderr
    again = e2v("search", copy, query, "--format", "json", "--approximate")
    assert (again.returncode, again.stderr) == (0, b"")
    assert first.stdout == again.stdout
    rows, expected = (
        [json.loads(line) for line in done.stdout.splitlines()] for done in (again, exact)
    )
    assert [row["path"] for row in rows] == [row["path"] for row in expected]
    cosines = [row["cosine"] for row in expected]  # rounded to six digits
    assert [row["cosine"] for row in rows] == pytest.approx(cosines, abs=2e-6)
    refused = e2v("search", copy, query, "--approximate", "--by-speaker")
    assert (refused.returncode, b"knows no speakers" in refused.stderr) == (2, True)


def test_two_recordings_are_compared(tmp_path):
    a, b = example_recordings()[:2]
    done = e2v("similar", a, b, "--format", "json", "--prior", 0.2)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["space"] == "fitted"
    assert 0 < report["same_emotion"] < 1
    assert -1 <= report["raw_cosine"] <= 1
    table = e2v("similar", a, a)
    assert b"fitted   cosine +1.000" in table.stdout
    assert b"raw      cosine +1.000" in table.stdout


@pytest.mark.slow
def test_bad_input_is_named(store, tmp_path):
    query = example_recordings()[0]
    cases = [
        (("search", tmp_path, query), 2, b"no store of embeddings"),
        (("search", store, tmp_path / "gone.wav"), 3, b"gone.wav"),
        (("search", store, query, "--same-speaker", "no"), 2, b"give --speaker"),
        (("embed", query), 2, b"give the store with -o"),
        (("embed", "-o", tmp_path / "s"), 2, b"no audio"),
        (("embed", query, "-o", tmp_path / "s", "--hop", 1), 2, b"give --window"),
        (("embed", query, "-o", tmp_path / "s", "--fit"), 2, b"--fit writes into the bundle"),
        (
            ("embed", query, example_recordings()[1], "-o", tmp_path / "s", "--turns", query),
            2,
            b"is of one recording",
        ),
        (("similar", query, tmp_path / "gone.wav"), 3, b"gone.wav"),
    ]
    for args, code, text in cases:
        done = e2v(*args)
        assert (done.returncode, text in done.stderr) == (code, True), (args, done.stderr)


@pytest.mark.slow
def test_a_space_is_fitted_into_the_bundle(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, model)
    before = open_bundle(model).manifest.space
    example = example_recordings()[0]
    lines = ["path,label,speaker"]
    rng = np.random.default_rng(0)
    import soundfile

    sound, rate = soundfile.read(example)
    for number in range(24):
        path = tmp_path / f"{number}.wav"
        start = int(rng.integers(len(sound) - rate))
        soundfile.write(path, sound[start : start + rate], rate)
        lines.append(f"{path},{('sad', 'happy')[number % 2]},s{number % 6}")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    done = e2v("embed", "--fit", tmp_path / "own.csv", "--model", model)
    assert done.returncode == 0, done.stderr
    assert b"lda on own" in done.stderr
    space = open_bundle(model).manifest.space
    assert space != before
    assert space.labels == ("happy", "sad")
    done = e2v("similar", example, example, "--model", model)
    assert b"fitted   cosine +1.000" in done.stdout


def test_an_interrupted_run_keeps_what_is_done(tmp_path, monkeypatch, recognizer):
    def interrupted(_recognizer, files, _unit, _intake):
        vector = np.ones(recognizer.bundle.manifest.architecture.embed_dim, np.float32)
        yield [embedder.Embedded(StoredClip(files[0]), vector)]
        raise KeyboardInterrupt

    monkeypatch.setattr(embedder, "embed_recordings", interrupted)
    store = Store.open(tmp_path / "store", recognizer.bundle.manifest)
    run = embed._Run(store, recognizer, embedder.EmbedUnit(), IntakeSettings())
    with pytest.raises(KeyboardInterrupt):
        run.add([str(path) for path in example_recordings()], None)
    assert [clip.path for clip in store.clips()] == [str(example_recordings()[0])]
    monkeypatch.undo()
    again = embed._Run(store, recognizer, embedder.EmbedUnit(), IntakeSettings())
    assert again.add([str(path) for path in example_recordings()], None) == 0
    assert (again.added, again.skipped) == (2, 1)

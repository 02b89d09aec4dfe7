"""A worker of a Ray cluster and its model, without a cluster."""

import pickle
import shutil

import pytest

from emotion2vec_edge.engine.batch.inputs.input_file import InputFile
from emotion2vec_edge.engine.batch.output.columns import ColumnJob
from emotion2vec_edge.engine.batch.ray import dataset
from emotion2vec_edge.engine.batch.ray.actor import Actor, Job, Ready, probe_of
from emotion2vec_edge.engine.batch.ray.shipping import ShippedModel, put_bundle
from emotion2vec_edge.engine.batch.run import run_digest
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.bundle.locate import open_bundle
from emotion2vec_edge.engine.errors import ClusterError, OptionError
from emotion2vec_edge.engine.recognizer import Recognizer
from emotion2vec_edge.engine.settings import IntakeSettings, ModelSettings
from emotion2vec_edge.engine.version import __version__


def job(probe=None, batch_size=None):
    shipped = ShippedModel.of(open_bundle())
    return pickle.dumps(Job(ModelSettings(threads=1), shipped, BatchSettings(), batch_size, probe))


def test_a_worker_answers_all_that_it_is_given(calls):
    recognizer = Recognizer.load(threads=1)
    actor = Actor()
    ready = actor.load(__version__, job(str(calls / "day0" / "0.wav")))
    assert ready.run == run_digest(recognizer, BatchSettings())
    assert ready.engine == f"cpu in {recognizer.precision}"
    items = [InputFile(str(calls / name), name) for name in ("day0/0.wav", "letter.wav")]
    results = []
    given = items
    while len(results) < 2:
        results += actor.exchange(given)
        given = []
    assert [result.item for result in results] == items
    ((place, content),) = results[0].files
    assert place == "results/day0/0.wav.json"
    assert b'"scores"' in b"".join(content)
    assert results[1].row.error == "UndecodableAudioError"
    received = pickle.loads(pickle.dumps(results))  # noqa: S301 - of this test
    assert [result.row for result in received] == [result.row for result in results]


def test_a_worker_of_another_version():
    with pytest.raises(ClusterError, match=rf"has emotion2vec-edge {__version__}, .* has 0.0.1;"):
        Actor().load("0.0.1", b"what another version has pickled")


def test_a_worker_that_does_not_see_the_recordings():
    with pytest.raises(ClusterError, match="has no /elsewhere/1.wav: .* give URLs, or a folder"):
        Actor().load(__version__, job("/elsewhere/1.wav"))


def test_groups_need_a_gpu():
    with pytest.raises(OptionError, match="--batch-size 4 is for a GPU; on cpu, which runs on"):
        Actor().load(__version__, job(batch_size=4))


def test_the_recording_that_workers_look_for(calls):
    here = str(calls / "day0" / "0.wav")
    items = [
        InputFile("s3://bucket/1.wav", "1"),
        InputFile("/gone.wav", "2"),
        InputFile("/dev/null", "3", problem="is a device"),
        InputFile(here, "4"),
    ]
    assert probe_of(items) == here
    assert probe_of(items[:3]) is None


def test_recordings_that_a_worker_may_have_begun():
    assert Ready("m", "r", "cpu", 1).touched == 3
    assert Ready("m", "r", "cuda", 16).touched == 48


@pytest.fixture
def own_bundle(tmp_path, monkeypatch):
    """A bundle of no other machine, and an empty cache folder."""
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    shutil.copytree(open_bundle().folder, tmp_path / "own")
    manifest = tmp_path / "own" / "bundle.json"
    manifest.write_text(manifest.read_text() + "\n")
    return open_bundle(tmp_path / "own")


def test_a_model_is_found_at_its_place_or_by_its_name(own_bundle):
    shipped = ShippedModel.of(own_bundle)
    assert shipped.find() == own_bundle.folder
    embedded = open_bundle()
    other = ShippedModel(embedded.manifest.name, "/elsewhere", ShippedModel.of(embedded).digest)
    assert other.find() == embedded.folder


def test_a_model_that_is_nowhere_is_received_once(own_bundle):
    store = []
    files = put_bundle(own_bundle, lambda content: store.append(content) or len(store) - 1)
    shipped = ShippedModel.of(own_bundle)
    shutil.move(own_bundle.folder, own_bundle.folder.with_name("moved"))
    assert shipped.find() is None, "the embedded model of that name differs"
    fetched = []

    def fetching(number):
        return lambda: fetched.append(number) or store[number]

    folder = shipped.receive({path: fetching(number) for path, number in files.items()})
    assert shipped.find() == folder
    open_bundle(folder).verify("int8")
    count = len(fetched)
    assert shipped.receive({path: fetching(number) for path, number in files.items()}) == folder
    assert len(fetched) == count == len(files)


def test_a_store_that_is_full(own_bundle):
    def put(_):
        raise MemoryError("the store is full")

    with pytest.raises(ClusterError, match="on this machine alone, .*: the store is full; put it"):
        put_bundle(own_bundle, put)


def test_columns_of_a_table(calls):
    pyarrow = pytest.importorskip("pyarrow", reason="SKIPPED LOUDLY: pyarrow is not installed")
    job = ColumnJob("path", ModelSettings(threads=1), IntakeSettings(), True, None)
    here = calls / "day0" / "0.wav"
    table = pyarrow.table({"path": [str(here), str(calls / "letter.wav")], "day": [0, 1]})
    rows = dataset.TableWorker(job)(table).to_pylist()
    recognizer = Recognizer.load(threads=1)
    encoding = recognizer.encode(here)
    assert dict(rows[0]["scores"]) == encoding.utterance().scores
    assert rows[0]["emotion"] == encoding.utterance().emotion
    assert rows[0]["embedding"] == encoding.embedding().tolist()
    assert [row["day"] for row in rows] == [0, 1]
    assert [row["error"] for row in rows] == [None, "UndecodableAudioError"]
    assert rows[1]["message"].startswith(f"{calls / 'letter.wav'}: neither libsndfile")
    assert rows[1]["scores"] is None


def test_a_worker_of_ray_data_of_another_version():
    job = ColumnJob("path", ModelSettings(), IntakeSettings(), False, None, "0.0.1")
    with pytest.raises(ClusterError, match=r"the driver 0\.0\.1; install the same version"):
        dataset.TableWorker(job)

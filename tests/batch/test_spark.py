"""Recognition in Spark, on this machine: ``local[2]``, in which a task may fail three times."""

import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recordings import encoded

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.batch import spark as module
from emotion2vec_edge.engine.batch.output.columns import ColumnJob
from emotion2vec_edge.engine.batch.spark import recognize
from emotion2vec_edge.engine.errors import E2VError, OptionError
from emotion2vec_edge.engine.settings import IntakeSettings, ModelSettings

sql = pytest.importorskip("pyspark.sql", reason="SKIPPED LOUDLY: pip install pyspark")
pytest.importorskip("pyarrow", reason="SKIPPED LOUDLY: pip install pyarrow")
if shutil.which("java") is None:
    pytest.skip("SKIPPED LOUDLY: Spark needs java", allow_module_level=True)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
]

JOB = ColumnJob("path", ModelSettings(), IntakeSettings(), False, None)


@pytest.fixture(scope="module")
def spark():
    environment = {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "localhost",  # or it may ask the network for its own name
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": 8,
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # starts sooner
    }
    session = sql.SparkSession.builder.master("local[2,4]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
    session.sparkContext._gateway.shutdown()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Forty recordings of a second, and a file that is none."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(19)
    for number in range(40):
        noise = rng.normal(0, 0.1, 16_000).astype(np.float32)
        (folder / f"{number:02}.wav").write_bytes(encoded(noise, 16_000, "WAV"))
    (folder / "letter.wav").write_text("not a recording")
    return sorted(map(str, folder.iterdir()))


def parent(process):
    """Id of the process that started another; 0 for one that has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def ours(process):
    """True for a process that this one or a child of it has started."""
    while process > 1 and process != os.getpid():
        process = parent(process)
    return process > 1


def workers():
    """Ids of Spark's Python workers that have loaded the runtime."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            daemon = b"pyspark.daemon" in (process / "cmdline").read_bytes()
            if daemon and "onnxruntime" in (process / "maps").read_text():
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return list(filter(ours, found))


def kill_one(killed, stop):
    while not killed and not stop.is_set():
        for process in workers()[:1]:
            os.kill(process, signal.SIGKILL)
            killed.append(process)
        time.sleep(0.005)


def test_results_are_the_local_ones_though_a_worker_is_killed(spark, clips):
    df = spark.createDataFrame([(path,) for path in clips], "path string").repartition(4)
    killed, stop = [], threading.Event()
    killer = threading.Thread(target=kill_one, args=(killed, stop))
    killer.start()
    try:
        rows = recognize(df, embeddings=True).collect()
    finally:
        stop.set()
        killer.join()
    assert len(killed) == 1
    assert sorted(row.path for row in rows) == clips
    local = Recognizer.load(threads=1)
    for row in rows:
        if row.path.endswith("letter.wav"):
            assert row.error == "UndecodableAudioError"
            assert "letter.wav" in row.message
            assert row.emotion is row.scores is row.embedding is None
            continue
        encoding = local.encode(row.path)
        utterance = encoding.utterance()
        assert (row.emotion, row.error, row.seconds) == (utterance.emotion, None, 1.0)
        assert row.scores == pytest.approx(dict(utterance.scores), abs=1e-6)
        assert row.embedding == pytest.approx(encoding.embedding().tolist(), abs=1e-5)
        assert row.warnings == [warning.code for warning in utterance.warnings]


def test_bytes_and_the_layout_of_hugging_face_in_sql(spark, clips):
    content = [Path(path).read_bytes() for path in clips[-3:]]
    layout = "audio struct<bytes:binary,path:string>, n int"
    rows = [((bytearray(one), None), number) for number, one in enumerate(content)]
    df = spark.createDataFrame([*rows, ((None, f"file:{clips[0]}"), 3), (None, 4)], layout)
    recognize(df, None).createOrReplaceTempView("emotions")
    found = spark.sql(
        "SELECT n, emotion, scores[emotion] = confidence AS same FROM emotions WHERE error IS NULL"
    ).collect()
    assert sorted((row.n, row.same) for row in found) == [(0, True), (1, True), (3, True)]
    failed = spark.sql("SELECT n, message FROM emotions WHERE error IS NOT NULL").collect()
    assert [row.n for row in sorted(failed)] == [2, 4]
    assert "the cell is empty" in max(failed).message


def test_columns_that_cannot_be_are_refused_before_a_job(spark):
    df = spark.createDataFrame([(1, "a.wav", "joy")], "n int, path string, Emotion string")
    with pytest.raises(OptionError, match=r"column 'n' holds no audio; it has n \(int\), path"):
        recognize(df, "n")
    with pytest.raises(OptionError, match="of the names emotion, .*rename or drop"):
        recognize(df)


def test_a_model_that_workers_do_not_have_ends_the_job(spark, clips):
    df = spark.createDataFrame([(clips[0],)], "path string")
    with pytest.raises(Exception, match=r"(?s)BundleNotFoundError: /nowhere"):
        recognize(df, model="/nowhere").collect()


def test_a_worker_of_another_version_is_told_so():
    with pytest.raises(E2VError, match="and the driver 0.0.1; install the same version"):
        module._recognizer(replace(JOB, version="0.0.1"))


def test_a_worker_keeps_its_model():
    assert module._recognizer(JOB) is module._recognizer(replace(JOB))
    other = replace(JOB, model=ModelSettings(threads=1))
    assert module._recognizer(other) is not module._recognizer(JOB)

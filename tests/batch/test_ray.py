"""A batch on a Ray cluster of two machines: what kills leave, and what is refused."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import soundfile
from batches import E2V, answers, before_path, e2v, everything_is_whole, one_run, rows
from ray_cluster import RayCluster

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio

COUNT = int(os.environ.get("E2V_RAY_RECORDINGS", "60"))
"""Number of recordings; of 2,000 the larger proof takes some minutes."""
KILLS = 3 if COUNT < 1_000 else 10
SLOW = 6 / COUNT
"""Seconds by which each recording is made slower, so that kills find work."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("SKIPPED LOUDLY: ray is not installed")
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(
        "import sys, time\n"
        "def audit(event, args):\n"
        f"    if event == 'open' and str(args[0]).endswith('.wav'): time.sleep({SLOW})\n"
        "if 'default_worker.py' in ' '.join(sys.orig_argv): sys.addaudithook(audit)\n"
    )
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = before_path(site)
    try:
        with RayCluster() as started:
            yield started
    finally:
        os.environ["PYTHONPATH"] = path or ""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Recordings of a second, and a file that is none."""
    folder = tmp_path_factory.mktemp("many") / "calls"
    folder.mkdir()
    speech = load_audio(example_recordings()[0]).samples
    for number in range(COUNT):
        soundfile.write(
            folder / f"{number:04}.wav", speech[number * 300 % 40_000 :][:16_000], 16_000
        )
    (folder / "letter.wav").write_text("not a recording")
    return folder


@pytest.fixture(scope="module")
def expected(many, tmp_path_factory):
    """The answers of a run on this machine."""
    out = tmp_path_factory.mktemp("local") / "out"
    one_run(Recognizer.load(threads=1), out, [many])
    return answers(out)


def started(cluster, *args):
    return subprocess.Popen(
        [*E2V, *map(str, args), "--on", "ray"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "RAY_ADDRESS": cluster.address},
    )  # fmt: skip


def wait_for_rows(out, count, process):
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if len((out / "results.jsonl").read_bytes().splitlines()) >= count:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    pytest.fail(f"the batch ended before {count} results: {process.stderr.read()}")


def kill_one(cluster, killed):
    """Kill a worker that was not killed before, and note its process."""
    deadline = time.monotonic() + 60
    while not (actors := set(cluster.actors()) - killed):
        assert time.monotonic() < deadline, "no worker was started again"
        time.sleep(0.1)
    worker = random.choice(sorted(actors))  # noqa: S311
    os.kill(worker, signal.SIGKILL)
    killed.add(worker)


def test_a_driver_that_is_killed_goes_on(cluster, many, expected, tmp_path):
    out = tmp_path / "out"
    first = started(cluster, many, "-o", out)
    wait_for_rows(out, COUNT // 4, first)
    first.kill()
    first.communicate()
    done = e2v(many, "-o", out, "--on", "ray", RAY_ADDRESS=cluster.address)
    assert done.returncode == 1, done.stderr
    assert f"{COUNT} recognized, 1 failed (" in done.stdout, "some were done before"
    assert answers(out) == expected


def test_a_pipeline_of_ray_data(cluster, calls):
    """… has the answers of the recognizer, and the error of what is no recording."""
    script = (
        "import json, logging, ray, sys\n"
        "from emotion2vec_edge.engine.batch.ray import recognize\n"
        "ray.init('auto', log_to_driver=False, logging_level=logging.ERROR)\n"
        "dataset = ray.data.from_items([{'path': path} for path in sys.argv[1:]])\n"
        "rows = recognize(dataset).take_all()\n"
        "print(json.dumps([[r['path'], r['confidence'], r['error']] for r in rows]))\n"
    )
    good, bad = calls / "day0" / "0.wav", calls / "letter.wav"
    done = subprocess.run(
        [sys.executable, "-c", script, good, bad], capture_output=True, text=True, check=False,
        env={**os.environ, "RAY_ADDRESS": cluster.address},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    confidence = Recognizer.load(threads=1).recognize(good).confidence
    assert json.loads(done.stdout.splitlines()[-1]) == [
        [str(good), confidence, None],
        [str(bad), None, "UndecodableAudioError"],
    ]


def test_actors_and_a_machine_are_killed(cluster, many, expected, tmp_path):
    out = tmp_path / "out"
    process = started(cluster, many, "-o", out)
    killed = set()
    moments = sorted(random.Random(COUNT).sample(range(5, COUNT * 2 // 3), KILLS))  # noqa: S311
    for moment in moments:
        wait_for_rows(out, moment, process)
        kill_one(cluster, killed)
    wait_for_rows(out, COUNT * 3 // 4, process)
    cluster.lose_machine()
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 1, stderr
    assert f"{COUNT} recognized, 1 failed" in stdout
    assert answers(out) == expected
    assert len(rows(out / "results.jsonl")) == COUNT
    assert len(killed) == KILLS
    everything_is_whole(out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", 9], "the cluster has no room for 9 workers with 1 CPU each, but for "),
        (["--gpus-per-worker", 0.25], "with 1 CPU and 0.25 GPUs each, but for 0; it has 1 CPU and"),
    ],
)
def test_a_cluster_that_is_too_small(cluster, calls, tmp_path, options, message):
    done = e2v(calls, "-o", tmp_path / "out", "--on", "ray", *options, RAY_ADDRESS=cluster.address)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()

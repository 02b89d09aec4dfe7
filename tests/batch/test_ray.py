"""A batch on a Ray cluster of two machines: what kills leave, and what is refused."""

import importlib.util
import os
import signal
import subprocess
import time

import pytest
import soundfile
from batches import E2V, answers, before_path, e2v, everything_is_whole, one_run, rows
from ray_cluster import RayCluster

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio

COUNT = 60
SLOW = 0.1
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
        soundfile.write(folder / f"{number:02}.wav", speech[number * 300 :][:16_000], 16_000)
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
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if len((out / "results.jsonl").read_bytes().splitlines()) >= count:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    pytest.fail(f"the batch ended before {count} results: {process.stderr.read()}")


def kill_one(cluster):
    victim = cluster.actors()[0]
    os.kill(victim, signal.SIGKILL)


def test_a_driver_that_is_killed_goes_on(cluster, many, expected, tmp_path):
    out = tmp_path / "out"
    first = started(cluster, many, "-o", out)
    wait_for_rows(out, 15, first)
    first.kill()
    first.communicate()
    done = e2v(many, "-o", out, "--on", "ray", RAY_ADDRESS=cluster.address)
    assert done.returncode == 1, done.stderr
    assert f"{COUNT} recognized, 1 failed (" in done.stdout, "some were done before"
    assert answers(out) == expected


def test_actors_and_a_machine_are_killed(cluster, many, expected, tmp_path):
    out = tmp_path / "out"
    process = started(cluster, many, "-o", out)
    for count in (5, 15, 25):
        wait_for_rows(out, count, process)
        kill_one(cluster)
    wait_for_rows(out, 35, process)
    cluster.lose_machine()
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    assert f"{COUNT} recognized, 1 failed" in stdout
    assert answers(out) == expected
    assert len(rows(out / "results.jsonl")) == COUNT
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

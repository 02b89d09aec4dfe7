"""Jobs: progress, results that are kept for a while, and cancelling."""

import json
import os
import time

import pytest
from serving import busy, serving, until

from emotion2vec_edge.engine.errors import UnknownResourceError
from emotion2vec_edge.engine.files import write_file
from emotion2vec_edge.engine.serve.answers.emotions import Answer
from emotion2vec_edge.engine.serve.jobs import JobStore
from emotion2vec_edge.engine.serve.monitoring import Metrics
from emotion2vec_edge.engine.serve.settings import ServeSettings

JOBS = "/v1/jobs"


def begun(running, content, **params):
    answer = running.http.post(JOBS, content=content, params=params)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{JOBS}/{answer.json()['id']}"
    return answer.headers["location"]


def ended(running, place):
    def state():
        return running.http.get(place).json()

    until(lambda: state()["state"] in ("done", "failed"))
    return state()


def test_a_job_gives_what_a_request_gives(running, recognizer, example):
    job = ended(running, begun(running, example.read_bytes(), filename="a.flac", peaks=10))
    expected = recognizer.encode(example)
    assert job["state"] == "done"
    assert job["progress"] == {
        "done": pytest.approx(expected.seconds, abs=0.05),
        "total": pytest.approx(expected.seconds, abs=0.05),
    }
    assert job["result"]["scores"] == expected.utterance().scores
    assert job["result"]["file"] == "a.flac"
    assert len(job["result"]["peaks"]) == 10
    assert running.service.spool.used == 0


def test_other_formats_are_a_result_of_their_own(running, example):
    place = begun(running, example.read_bytes(), format="srt")
    job = ended(running, place)
    assert "result" not in job
    answer = running.http.get(place + "/result")
    assert answer.headers["content-type"].startswith("application/x-subrip")
    assert "-->" in answer.text


def test_a_job_that_fails_tells_why(running):
    place = begun(running, b"no audio at all", filename="call.wav")
    job = ended(running, place)
    assert job["state"] == "failed"
    assert job["error"]["error"] == "UndecodableAudioError"
    assert job["error"]["detail"].startswith("call.wav: ")
    answer = running.http.get(place + "/result")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_jobs_can_be_cancelled_while_they_run_and_while_they_wait(running, example):
    def steps():
        return running.metric("e2v_inference_seconds_count")

    before = steps()
    ended(running, begun(running, example.read_bytes()))
    of_one = steps() - before
    before = steps()
    with busy(running):
        first, second = (begun(running, example.read_bytes()) for _ in range(2))
        until(lambda: running.http.get(first).json()["state"] == "running")
        assert running.http.get(second).json()["state"] == "waiting"
        assert running.http.get(first + "/result").status_code == 404
        for place in (second, first):
            assert running.http.delete(place).status_code == 204
            assert running.http.get(place).status_code == 404
            assert running.http.delete(place).status_code == 404
    assert ended(running, begun(running, example.read_bytes()))["state"] == "done"
    assert steps() == before + 1 + of_one  # that of busy(), and those of the last job


@pytest.mark.parametrize("number", ["0", "x" * 32, "..", "%2e%2e%2fetc", "0" * 32])
def test_a_job_that_is_none(running, number):
    for method in ("GET", "DELETE"):
        assert running.http.request(method, f"{JOBS}/{number}").status_code == 404


def test_options_of_a_job_are_checked_at_once(running, example):
    answer = running.http.post(JOBS, content=example.read_bytes(), params={"hop": 0})
    assert answer.status_code == 422


def test_results_are_bounded_in_number_and_time(example):
    content = example.read_bytes()
    with serving(jobs=2, keep_minutes=60) as running:
        places = []
        for _ in range(3):
            places.append(begun(running, content))
            ended(running, places[-1])
        states = [running.http.get(place).status_code for place in places]
        assert states == [404, 200, 200]
        with busy(running):
            for _ in range(2):
                begun(running, content)
            assert running.http.post(JOBS, content=content).status_code == 503
        for job in list(running.service.jobs._jobs.values()):
            until(lambda job=job: job.ended is not None)
            job.ended -= 3601
        running.service.jobs.prune()
        assert not running.service.jobs._jobs
        assert running.metric("e2v_jobs", state="done") == 0


def test_results_on_the_disk_outlive_the_process(tmp_path, example):
    folder = tmp_path / "results"
    with serving(jobs_folder=folder) as running:
        place = begun(running, example.read_bytes())
        before = ended(running, place)
        assert not running.service.jobs._jobs
    with serving(jobs_folder=folder) as running:
        assert running.http.get(place).json() == before
        assert running.http.delete(place).status_code == 204
        assert running.http.get(place).status_code == 404
    assert not list(folder.iterdir())
    assert before["result"]["emotion"]


def test_a_file_of_somebody_else_is_no_job(tmp_path):
    with serving(jobs_folder=tmp_path) as running:
        for content in ("", "no JSON", "[]", "{}"):
            (tmp_path / f"{'a' * 32}.json").write_text(content)
            assert running.http.get(f"{JOBS}/{'a' * 32}").status_code == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"text": 5}, {"done": "1"}, {"done": float("nan")}, {"error": 1}, {"state": "lost"},
        {"text": "\ud800"},
    ],
)  # fmt: skip
def test_a_damaged_result_is_no_job(tmp_path, changed):
    outcome = {"id": "a", "created": "", "format": "json", "state": "done", "done": 1.0}
    store = JobStore(ServeSettings(jobs_folder=tmp_path), Metrics())
    path = tmp_path / f"{'a' * 32}.json"
    path.write_text(json.dumps(outcome))
    assert store.get("a" * 32).outcome.state == "done"
    path.write_text(json.dumps({**outcome, **changed}))
    with pytest.raises(UnknownResourceError):
        store.get("a" * 32)
    store.close()


def test_only_files_of_its_own_are_jobs(tmp_path):
    outcome = {"id": "a", "created": "", "format": "json", "state": "done", "done": 1.0}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps(outcome))
    store = JobStore(ServeSettings(jobs_folder=tmp_path), Metrics())
    names = ["a" * 32, "b" * 32, "c" * 32, "d" * 32]
    link, pipe, folder, nested = (tmp_path / f"{name}.json" for name in names)
    link.symlink_to(elsewhere)
    os.mkfifo(pipe)
    folder.mkdir()
    nested.write_text("[" * 100_000)
    for name in names:
        with pytest.raises(UnknownResourceError):
            store.get(name)
    store.close()


def test_a_job_that_is_removed_while_its_result_is_written_leaves_none(
    tmp_path, example, monkeypatch
):
    def write(path, content):
        write_file(path, content)
        store.remove(path.stem)
        path.write_bytes(content)  # as if the write had ended after the removal

    monkeypatch.setattr("emotion2vec_edge.engine.serve.jobs.write_file", write)
    store = JobStore(ServeSettings(jobs_folder=tmp_path), Metrics())
    job = store.add([], "json", lambda _: Answer("{}", "application/json", ()))
    job.running.result()
    store.close()
    assert not list(tmp_path.iterdir())


def test_old_results_leave_the_disk(tmp_path):
    store = JobStore(ServeSettings(jobs_folder=tmp_path, keep_minutes=1), Metrics())
    old, new, other = (
        tmp_path / f"{'a' * 32}.json",
        tmp_path / f"{'b' * 32}.json",
        tmp_path / "x.json",
    )
    for path in (old, new, other):
        path.write_text(json.dumps({}))
    os.utime(old, (time.time() - 61,) * 2)
    os.utime(other, (0, 0))
    store.prune()
    assert sorted(tmp_path.iterdir()) == [new, other]
    store.close()

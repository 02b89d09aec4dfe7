"""The queue in front of the model: bounded, measured, and left by those who go away."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving import busy, received, serving, until

EMOTIONS = "/v1/audio/emotions"


@pytest.fixture(scope="module")
def narrow():
    """One thread, and one request that waits for it."""
    with serving(decode_workers=1, queue=1) as one:
        one.service.recognizer()
        yield one


def test_a_full_queue_is_told_at_once(narrow, example):
    content = example.read_bytes()
    with ThreadPoolExecutor(2) as clients:
        with busy(narrow):
            answers = []
            for count in (1, 2):
                answers.append(clients.submit(narrow.http.post, EMOTIONS, content=content))
                until(lambda count=count: narrow.service._admitted == count)
            assert narrow.metric("e2v_queue_depth") == 1
            refused = narrow.http.post(EMOTIONS, content=content)
            assert refused.status_code == 503
            assert refused.json()["error"] == "OverloadedError"
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert narrow.http.get("/health/ready").status_code == 200
        assert [answer.result().status_code for answer in answers] == [200, 200]
    assert narrow.metric("e2v_rejections_total", reason="OverloadedError") == 1
    assert narrow.metric("e2v_queue_wait_seconds_count") >= 2
    assert narrow.metric("e2v_queue_depth") == 0


def test_who_went_away_is_not_computed(narrow, example):
    content = example.read_bytes()
    steps = narrow.metric("e2v_inference_seconds_count")
    head = f"POST {EMOTIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    with busy(narrow):
        for _ in range(2):  # one that decodes, and one that waits for the thread
            with socket.create_connection(("127.0.0.1", narrow.port)) as raw:
                raw.sendall(head.encode() + content)
                until(lambda: narrow.service._admitted > 0)
                time.sleep(0.05)
        time.sleep(0.5)  # a busy machine notices late that they went away
    until(lambda: narrow.service._admitted == 0)
    assert narrow.metric("e2v_inference_seconds_count") == steps + 1  # that of busy() itself
    assert narrow.http.post(EMOTIONS, content=content).status_code == 200


def test_a_request_that_takes_too_long_is_an_error(narrow, example, monkeypatch):
    monkeypatch.setattr("emotion2vec_edge.engine.serve.inference.work.BUDGET_SECONDS", 0.0)
    monkeypatch.setattr("emotion2vec_edge.engine.serve.inference.work.BUDGET_FACTOR", 0.0)
    answer = narrow.http.post(EMOTIONS, content=example.read_bytes())
    assert answer.status_code == 504
    assert answer.json()["error"] == "TimeBudgetError"


def test_a_failure_of_the_service_tells_nothing_of_this_machine(narrow, example, monkeypatch):
    from emotion2vec_edge.engine.errors import ModelError

    for error in (RuntimeError("/secret/path"), ModelError("/secret/path")):

        def fail(error=error):
            raise error

        monkeypatch.setattr(narrow.service, "recognizer", fail)
        answer = narrow.http.post(EMOTIONS, content=example.read_bytes())
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text
        assert answer.json()["exit_code"] == (4 if isinstance(error, ModelError) else 1)


def test_the_end_refuses_new_work(example):
    with serving() as running, socket.create_connection(("127.0.0.1", running.port)) as raw:
        raw.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received(raw, b"live")
        running.service.draining.set()
        raw.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 503 " in received(raw, b"OverloadedError")
        raw.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 503 " in received(raw, b"ending")


@pytest.mark.slow
def test_many_clients_get_what_one_gets(recognizer, example):
    """Nothing is lost, and every answer is the same."""
    content = example.read_bytes()
    expected = recognizer.recognize(example).scores
    with serving(queue=64) as running, ThreadPoolExecutor(16) as clients:
        answers = list(
            clients.map(lambda _: running.http.post(EMOTIONS, content=content), range(64))
        )
    assert all(answer.json()["scores"] == expected for answer in answers)


def test_a_thread_that_hangs_does_not_hold_the_end(monkeypatch):
    import threading

    from emotion2vec_edge.engine.serve import service
    from emotion2vec_edge.engine.serve.settings import ServeSettings

    monkeypatch.setattr(service, "CLOSE_SECONDS", 0.1)
    hung = service.Service(ServeSettings())
    release = threading.Event()
    hung._threads.submit(release.wait)
    assert not hung.close()
    release.set()
    monkeypatch.setattr(service, "CLOSE_SECONDS", 10)
    assert hung.close()

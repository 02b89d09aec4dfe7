"""Bodies of requests: counted while they arrive, and freed in every case."""

import errno
import io
import os
import socket
import time

import numpy as np
import pytest
from recordings import encoded, tone
from serving import received, serving, until

from emotion2vec_edge.engine.serve.bodies import spool

EMOTIONS = "/v1/audio/emotions"


def pieces(count, size=65_536):
    """A body of unknown length."""
    for _ in range(count):
        yield bytes(size)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(running):
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as raw:
        raw.sendall(
            b"POST /v1/audio/emotions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        answer = received(raw, b"RequestTooLargeError")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"RequestTooLargeError" in answer


def test_a_body_that_turns_out_too_large_is_refused(running):
    sent = []

    def body():
        for piece in pieces(1_000):
            sent.append(len(piece))
            yield piece

    answer = running.http.post(EMOTIONS, content=body())
    assert answer.status_code == 413
    assert answer.json()["error"] == "RequestTooLargeError"
    assert "20 MB" in answer.json()["detail"]
    assert running.service.spool.used == 0


def test_large_recordings_go_to_the_disk_and_leave_it(running, example_samples, recognizer):
    samples = np.resize(example_samples, 16_000 * 36)
    content = encoded(samples, 16_000, "WAV", subtype="PCM_16")
    assert len(content) > spool.MEMORY_BYTES
    name = "long.wav"
    raw = running.http.post(EMOTIONS, content=content, params={"filename": name}).json()
    form = running.http.post(EMOTIONS, files={"file": (name, content)}).json()
    expected = recognizer.recognize(content)
    assert raw["scores"] == form["scores"] == expected.scores
    assert running.service.spool.used == 0


def test_a_full_spool_is_told_and_ends(example_samples):
    content = encoded(np.resize(example_samples, 16_000 * 60), 16_000, "WAV", subtype="PCM_16")
    with serving(spool_bytes=1_500_000) as running:
        answer = running.http.post(EMOTIONS, content=content)
        assert answer.status_code == 503
        assert answer.json()["error"] == "OverloadedError"
        assert int(answer.headers["retry-after"]) >= 1
        assert running.service.spool.used == 0
        small = running.http.post(EMOTIONS, content=encoded(tone(), 16_000, "WAV"))
        assert small.status_code == 200


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "the disk is full"), (errno.EIO, "Input/output error")]
)
def test_a_full_disk_is_507_with_the_reason(running, monkeypatch, number, reason):
    class Full(io.FileIO):
        def write(self, content):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", lambda **_: Full(os.devnull, "w"))
    answer = running.http.post(EMOTIONS, content=pieces(40))
    assert answer.status_code == 507
    problem = answer.json()
    assert (problem["error"], problem["exit_code"]) == ("OutputError", 1)
    assert reason in problem["detail"]
    assert "/" not in problem["detail"].replace("Input/output", "")
    assert running.service.spool.used == 0


def form(*parts, end=b"--x--\r\n"):
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


HEADER = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        (b"", 400, "ends before"),
        (b"nothing like a form", 400, "multipart"),
        (form(), 400, ""),
        (form(HEADER + b"abc", end=b""), 400, "ends before"),
        (form(b'Content-Disposition: form-data; name="window"\r\n\r\n1'), 400, "no recording"),
        (form(b"Content-Type: audio/wav\r\n\r\nabc"), 400, "no name"),
        (form(HEADER.replace(b'"file"', b'"sound"') + b"abc"), 400, "named file"),
        (form(HEADER + b"abc"), 422, "a.wav"),
        (form(*[HEADER + b"abc"] * 101), 413, "100 files"),
        (form(b'Content-Disposition: form-data; name="a"\r\n\r\n' + b"a" * 70_000), 413, "65536"),
        (form(*[b'Content-Disposition: form-data; name="%d"\r\n\r\n1' % i for i in range(70)]),
         413, "64 fields"),
        (form(b"X-Long: " + b"a" * 10_000 + b"\r\n" + HEADER + b"abc"), (400, 413), ""),
        (form(b"".join(b"X-%d: a\r\n" % i for i in range(99)) + HEADER + b"a"), (400, 413), ""),
    ],
)  # fmt: skip
def test_a_damaged_form_is_refused(running, content, status, word):
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = running.http.post(EMOTIONS, content=content, headers=kind)
    assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
    assert word in answer.json()["detail"]


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 400]
)  # fmt: skip
def test_a_form_that_cannot_be_read_is_refused(running, kind):
    answer = running.http.post(EMOTIONS, content=b"a=b", headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"] == "MalformedRequestError"


def test_a_raw_recording_may_have_any_content_type(running, example):
    kind = {"content-type": "application/x-www-form-urlencoded"}  # curl's own for --data-binary
    answer = running.http.post(EMOTIONS, content=example.read_bytes(), headers=kind)
    assert answer.status_code == 200
    assert answer.json()["emotion"]


def test_a_client_that_goes_away_leaves_nothing(running):
    for content in (b"RIFF" + bytes(100), bytes(3_000_000)):
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as raw:
            raw.sendall(
                b"POST /v1/audio/emotions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 5000000\r\n\r\n" + content
            )
            time.sleep(0.1)
        until(lambda: running.service.spool.used == 0)


def test_a_client_that_sends_nothing_is_not_waited_for(running, monkeypatch):
    monkeypatch.setattr("emotion2vec_edge.engine.serve.bodies.uploads.PATIENCE_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as raw:
        raw.sendall(
            b"POST /v1/audio/emotions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nabc"
        )
        answer = received(raw, b"sent nothing for")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"sent nothing for" in answer

"""The process of the service: its start, its end, and its errors."""

import asyncio
import contextlib
import json
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from commands import E2V, e2v
from recordings import encoded
from serving import ServeSettings, httpx, open_socket, received, serving, until

from emotion2vec_edge.engine.serve.server import LoopErrors

EMOTIONS = "/v1/audio/emotions"


class Process:
    """`e2v serve` with its log."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [*E2V, "serve", "--port", "0", "--log-format", "json", *map(str, args)],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines = []
        found = None
        while found is None:
            self.lines.append(self.process.stderr.readline())
            if not self.lines[-1]:
                self.process.kill()
                pytest.fail("".join(self.lines))
            found = re.search(r"http://[\d.:]+", self.lines[-1])
        self.url = found[0]
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr))
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        self.process.stdout.close()

    def events(self):
        return [json.loads(line) for line in self.lines if line.startswith("{")]


@pytest.mark.slow
def test_the_service_ends_under_load_without_half_an_answer(example):
    content = example.read_bytes()
    answers, problems = [], []

    def client(url):
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            while True:
                try:
                    answer = http.post(EMOTIONS, content=content)
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
                    problems.append(error)
                    return
                answers.append(answer)
                if answer.status_code != 200:
                    return

    with Process("--preload") as running:
        clients = [threading.Thread(target=client, args=[running.url]) for _ in range(6)]
        for one in clients:
            one.start()
        until(lambda: len(answers) > 20)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(15) == 0
        for one in clients:
            one.join(30)
        assert running.process.stdout.read() == ""
    done = [answer.json() for answer in answers if answer.status_code == 200]
    assert all(abs(sum(answer["scores"].values()) - 1) < 1e-4 for answer in done)
    assert {answer.status_code for answer in answers} <= {200, 503}
    events = [event["event"] for event in running.events()]
    assert events[-1] == "ended"
    assert "model loaded" in events
    # A connection may be closed between two requests, and never within an answer.
    assert not [error for error in problems if "peer closed" in str(error)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_end_it_too(number):
    with Process("--no-page") as running:
        assert httpx.get(running.url + "/health/ready", trust_env=False).status_code == 200
        running.process.send_signal(number)
        assert running.process.wait(15) == 0


@pytest.mark.slow
def test_work_that_outlasts_the_grace_period_is_given_up(tmp_path):
    long = encoded(np.zeros(16_000 * 1_500, "f4"), 16_000, "FLAC")
    with Process("--grace", 0.2, "--precision", "fp32", "--threads", 1) as running:
        results = []

        def send():
            try:
                results.append(
                    httpx.post(
                        running.url + EMOTIONS, content=long, timeout=60, trust_env=False
                    ).status_code
                )
            except httpx.HTTPError as error:
                results.append(error)

        client = threading.Thread(target=send)
        client.start()
        time.sleep(1.5)
        running.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert running.process.wait(15) == 0
        assert time.monotonic() - started < 8
        client.join()
    assert results[0] != 200


def test_logs_have_no_names_of_files(example):
    with Process() as running:
        files = {"file": ("secret-name.flac", example.read_bytes())}
        answer = httpx.post(running.url + EMOTIONS, files=files, trust_env=False)
        bad = httpx.post(
            running.url + EMOTIONS, files={"file": ("secret-name", b"x")}, trust_env=False
        )
        assert (answer.status_code, bad.status_code) == (200, 422)
        metrics = httpx.get(running.url + "/metrics", trust_env=False).text
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(15) == 0
    assert "secret" not in metrics + "".join(running.lines)
    requests = [event for event in running.events() if event["event"] == "request"]
    assert requests[0]["route"] == EMOTIONS
    assert requests[0]["request_id"] == answer.headers["x-request-id"]
    assert requests[0]["audio_seconds"] > 1
    assert {"seconds", "queue_seconds", "inference_seconds", "status", "time"} <= set(requests[0])


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = e2v("serve", "--port", other.getsockname()[1])
    assert done.returncode == 1
    assert b"another program listens there" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["--host", "0.0.0.0"], 2, b"--token-file"),  # noqa: S104
        (["--host", "no.such.host.invalid", "--token-file", "TOKEN"], 2, b"no such address"),
        (["--model", "none"], 4, b"none"),
        (["--token-file", "none"], 2, b"none"),
        (["--queue", "0"], 2, b"--queue"),
        (["--grace", "-1"], 2, b"grace"),
        (["--max-seconds", "nan"], 2, b"max-seconds"),
        (["--allow-host", "box.example:7860"], 2, b"a name alone"),
        (["--allow-origin", "https://friend.example/"], 2, b"without a path"),
        (["--allow-origin", "*"], 2, b"without a path"),
        (["--ssl-keyfile", "none"], 2, b"both"),
        (["--ssl-keyfile", "none", "--ssl-certfile", "none"], 2, b"certificate"),
        (["--preload", "--provider", "cuda"], 5, b"cuda"),
        (["--labels", "hungry", "--preload"], 2, b"hungry"),
        (["--spool", "/none"], 2, b"recordings cannot wait there"),
        (["--jobs-folder", "/proc/none"], 1, b"/proc/none"),
        (["--feedback", "/proc/none"], 1, b"/proc/none"),
    ],
)  # fmt: skip
def test_a_start_that_cannot_be(tmp_path, args, code, word):
    token = tmp_path / "token"
    token.write_text("a-token-of-some-length")
    if "cuda" in args and Path("/dev/nvidia0").exists():
        pytest.skip("SKIPPED LOUDLY: there is a GPU here")
    done = e2v("serve", "--port", 0, *(str(token) if arg == "TOKEN" else arg for arg in args))
    assert done.returncode == code, done.stderr
    assert word in done.stderr.lower()
    assert b"Traceback" not in done.stderr


def test_answers_do_not_wait_for_acknowledgements():
    """Nagle's algorithm would hold the body of each answer back for 40 ms."""
    with (
        open_socket(ServeSettings(port=0)) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.slow
def test_jobs_and_sessions_end_with_the_service(tmp_path):
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    long = encoded(np.zeros(16_000 * 1_500, "f4"), 16_000, "FLAC")
    with Process("--grace", 1, "--precision", "fp32", "--threads", 1) as running:
        job = httpx.post(running.url + "/v1/jobs", content=long, timeout=60, trust_env=False)
        place = running.url + job.headers["location"]
        until(lambda: httpx.get(place, trust_env=False).json()["state"] == "running")
        address = running.url.replace("http", "ws") + EMOTIONS + "/stream"
        with connect(address) as stream:
            stream.recv()
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                stream.recv(timeout=10)
            assert stream.close_code == 1001
        assert running.process.wait(15) == 0
    assert running.events()[-1]["event"] == "ended"


def test_a_request_that_does_not_come_is_not_awaited(monkeypatch):
    monkeypatch.setattr("emotion2vec_edge.engine.serve.server.KEEP_ALIVE_SECONDS", 0.3)
    whole = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving() as running:
        for begun in (b"", whole[:-2], whole, whole + whole[:-2]):
            with socket.create_connection(("127.0.0.1", running.port), timeout=10) as raw:
                raw.sendall(begun)
                assert received(raw, b"never").count(b"200 OK") == begun.count(b"\r\n\r\n")


@pytest.mark.parametrize("begun", [b"", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_a_request_that_takes_long_is_awaited(monkeypatch, example, begun):
    monkeypatch.setattr("emotion2vec_edge.engine.serve.server.KEEP_ALIVE_SECONDS", 0.2)
    content = example.read_bytes()
    head = f"Host: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    with (
        serving() as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=10) as raw,
    ):
        raw.sendall(begun + b"POST /v1/audio/emotions HTTP/1.1\r\n" + head + content[:100])
        time.sleep(0.4)
        raw.sendall(content[100:])
        assert b'"emotion"' in received(raw, b'"provider"')


def test_tries_to_accept_that_outlive_the_server_are_not_told(caplog):
    """Asyncio plans one for each connection that waited, at EMFILE; this is how each ends."""

    async def closed():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(LoopErrors())
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        listening = server.sockets[0]._sock
        loop.call_soon(loop._start_serving, asyncio.Protocol, listening)
        loop.call_soon(int, "not a number")
        server.close()
        await asyncio.sleep(0.01)

    asyncio.run(closed())
    assert [record.exc_info[0] for record in caplog.records] == [ValueError]
    assert "not a number" in caplog.text


@pytest.mark.slow
def test_connections_wait_when_no_more_files_can_be_open():
    """One line of the log, and answers once there is room."""
    with Process() as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        port = int(running.url.rpartition(":")[2])
        with contextlib.ExitStack() as open_sockets:
            for _ in range(100):
                open_sockets.enter_context(socket.create_connection(("127.0.0.1", port)))
            until(lambda: any("connections wait" in line for line in running.lines))
            time.sleep(2.5)  # the loop tries again every second
        assert httpx.get(running.url + "/health/live", trust_env=False).status_code == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        running.reader.join()
        assert sum("connections wait" in line for line in running.lines) == 1
        assert "socket.accept" not in "".join(running.lines)
        # Something else may have wanted a file too.
        assert sum("Traceback" in line for line in running.lines) <= 1

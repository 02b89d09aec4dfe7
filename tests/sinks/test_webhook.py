"""A web hook: signatures, retries, refusals, and a receiver that fails."""

import http.server
import json
import re
import threading
import time
from pathlib import Path

import pytest

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.sinks import webhook
from emotion2vec_edge.engine.sinks.opening import open_sinks
from emotion2vec_edge.engine.sinks.outbox import Message, Outbox
from emotion2vec_edge.engine.sinks.settings import SinkSettings

SECRET = b"0123456789abcdef"


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answers = self.server.answers
        code = answers.pop(0) if answers else 200
        self.server.posts.append((code, self.path, dict(self.headers), body))
        if code == "hang":
            self.server.over.wait(10)
            return
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        if code == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setattr(webhook, "FIRST_DELAY", 0.01)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.answers, server.posts, server.over = [], [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}/services/t0ken"
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def message(event="alert.start"):
    return Message(event, "door", {"time": 3.5, "rule": "怒り"}, "2026-01-01T00:00:00.000Z")


def hook(receiver, told=None, **options):
    told = [] if told is None else told
    return webhook.Webhook(receiver.url, SECRET, windows=False, tell=told.append, **options)


def deliver(receiver, told=None):
    return hook(receiver, told).deliver(message(), threading.Event())


@pytest.fixture
def verified():
    """The check of signatures that the documentation shows."""
    page = (Path(__file__).parents[2] / "docs" / "box.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    names = {}
    exec(code, names)  # noqa: S102 - our own page
    return names["verified"]


def test_a_message_is_signed(receiver, verified):
    assert deliver(receiver)
    ((_, path, headers, body),) = receiver.posts
    assert path == "/services/t0ken"
    assert json.loads(body) == {
        "event": "alert.start", "source": "door", "at": "2026-01-01T00:00:00.000Z", "time": 3.5, "rule": "怒り",
    }  # fmt: skip
    assert verified(headers, body, SECRET)
    assert not verified(headers, body + b" ", SECRET)
    assert not verified(headers, body, SECRET[::-1])
    old = {"X-E2V-Signature": "t=1,v1=" + webhook.signature(SECRET, 1, body)}
    assert not verified(old, body, SECRET)
    assert headers["X-E2V-Event"] == "alert.start"


def test_failures_are_tried_again_with_the_same_number(receiver):
    receiver.answers = [500, 429, 503]
    told = []
    assert deliver(receiver, told)
    assert [code for code, *_ in receiver.posts] == [500, 429, 503, 200]
    assert len({headers["X-E2V-Delivery"] for _, _, headers, _ in receiver.posts}) == 1
    assert [line.split(": ")[1] for line in told] == ["HTTP 500", "takes messages again"]
    assert "t0ken" not in "".join(told)


@pytest.mark.parametrize("code", [302, 400, 401, 404, 410])
def test_refusals_are_not_tried_again(receiver, code):
    receiver.answers = [code]
    assert not deliver(receiver)
    assert len(receiver.posts) == 1


def test_a_receiver_that_always_fails(receiver):
    receiver.answers = 100 * [500]
    assert not deliver(receiver)
    assert len(receiver.posts) == webhook.ATTEMPTS


def test_a_receiver_that_hangs_blocks_nothing(receiver, monkeypatch):
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.3)
    receiver.answers = ["hang", 200]
    box = Outbox(hook(receiver))
    began = time.monotonic()
    for _ in range(50):
        box.put(message())
        box.put(message("window"))
    assert time.monotonic() - began < 0.3
    box.close(seconds=10.0)
    report = box.report(9.0)
    assert (report.sent, report.dropped, report.waiting) == (50, 0, 0)
    assert {json.loads(body)["event"] for *_, body in receiver.posts} == {"alert.start"}


def test_nobody_listens_and_the_end_comes(monkeypatch):
    monkeypatch.setattr(webhook, "FIRST_DELAY", 5.0)
    told = []
    box = Outbox(webhook.Webhook("http://127.0.0.1:9/x", SECRET, windows=True, tell=told.append))
    for _ in range(3):
        box.put(message("window"))
    box.close(seconds=0.2)
    report = box.report(1.0)
    assert (report.sent, report.dropped, report.waiting) == (0, 3, 0)
    assert len(told) == 1
    assert "refused" in told[0]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x", "http:///x", "https://user:s3cret@host/x", "host/s3cret", "http://[::1/s3cret",
        "http://u:s3cret℀@host/x", "http://host:99999/x", "http://host:0/x", "http://host/a s3cret",
        "http://host/s3crét",
    ],
)  # fmt: skip
def test_addresses_that_are_not_taken(url):
    with pytest.raises(OptionError, match="web hook's address") as refused:
        webhook.Webhook(url, SECRET, windows=False, tell=print)
    assert "s3cr" not in str(refused.value)


def test_the_secret_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    def opened(**options):
        (box,) = open_sinks(
            SinkSettings(webhook="http://127.0.0.1:9/x", **options), "door", [], print
        )
        box.close(seconds=0.1)
        return box._courier._secret

    monkeypatch.delenv("E2V_WEBHOOK_SECRET", raising=False)
    with pytest.raises(OptionError, match="needs a secret to sign with: --webhook-secret FILE"):
        opened()
    monkeypatch.setenv("E2V_WEBHOOK_SECRET", SECRET.decode())
    assert opened() == SECRET
    path = tmp_path / "secret"
    path.write_bytes(b"another secret of the box\n")
    assert opened(webhook_secret=path) == b"another secret of the box"
    path.write_bytes(b"short\n")
    with pytest.raises(OptionError, match="secret has 5 bytes; give at least 16"):
        opened(webhook_secret=path)
    with pytest.raises(OptionError, match="gone: cannot be read as a secret: No such file"):
        opened(webhook_secret=tmp_path / "gone")

"""A thousand requests and frames that are none: answered with 4xx, and forgotten."""

import base64
import random
import re
import socket
from pathlib import Path

import pytest
from serving import serving, until

HEAD = "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
FORM = "multipart/form-data; boundary=x"
UPGRADE = (
    "GET /v1/audio/emotions/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
)
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n'
INFER = b'{"inputs": [{"name": "waveform", "datatype": "FP32", "shape": [3], "data": [1, 2, 3]}]}'


def request(path, kind, body, length=None):
    head = HEAD.format(path=path, kind=kind, length=len(body) if length is None else length)
    return head.encode("utf-8", "replace") + body


def mutated(rng, content):
    """Some bytes changed, cut out, or doubled."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content))
        how = rng.randrange(3)
        if how == 0:
            content[at] = rng.randrange(256)
        elif how == 1:
            del content[at : at + rng.randint(1, 20)]
        else:
            content[at:at] = content[at : at + rng.randint(1, 20)]
        content = content or bytearray(b"x")
    return bytes(content)


def malformed(rng, model):
    """Bytes of one request that cannot be answered."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randint(1, 2_000)) + b"\r\n\r\n"
    if kind == 1:  # not even HTTP any more, or a path that is none
        return b"PUT /" + rng.randbytes(30).hex().encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    if kind == 2:
        return request("/v1/audio/emotions", FORM, mutated(rng, PART))
    if kind == 3:
        return request(f"/v2/models/{model}/infer", "application/json", mutated(rng, INFER))
    if kind == 4:
        return request(
            "/v1/audio/emotions", "audio/wav", b"RIFF" + rng.randbytes(rng.randint(0, 500))
        )
    return request("/v1/jobs?hop=" + rng.randbytes(4).hex(), "x/y", b"abc")


def answer(port, content):
    """First line of the answer, or nothing if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as raw:
        raw.sendall(content)
        try:
            return raw.recv(100)
        except (ConnectionResetError, TimeoutError):
            return b""


def memory(running):
    text = running.http.get("/metrics").text
    return float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)[1])


@pytest.mark.slow
def test_malformed_requests_and_frames_change_nothing(example):
    rng = random.Random(5)  # noqa: S311
    with serving() as running:
        model = running.service.bundle.manifest.name
        answered = 0
        for number in range(1_000):
            if number == 200:  # what is allocated once is allocated
                before = memory(running)
            content = malformed(rng, model)
            first = answer(running.port, content)
            assert re.match(rb"HTTP/1\.1 4\d\d|$", first), (content, first)
            answered += bool(first)
        assert answered > 950
        for _ in range(100):
            key = base64.b64encode(rng.randbytes(16)).decode()
            answer(running.port, UPGRADE.format(key=key).encode() + rng.randbytes(300))
        until(lambda: running.metric("e2v_stream_sessions") == 0)
        assert running.service.spool.used == 0
        assert running.service._admitted == 0
        assert memory(running) < before + 40e6
        assert len(list(Path("/proc/self/fd").iterdir())) < 100
        good = running.http.post("/v1/audio/emotions", content=example.read_bytes())
        assert good.status_code == 200

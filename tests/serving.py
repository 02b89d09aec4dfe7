"""A service on a free port of this machine, in a thread of its own."""

# ruff: noqa: E402 - without its packages there is nothing to import

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

import pytest

for _name in ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client", "httpx"):
    pytest.importorskip(_name, reason=f"SKIPPED LOUDLY: the service needs {_name}")

import httpx

from emotion2vec_edge.engine.serve.inference.work import Priority, Work
from emotion2vec_edge.engine.serve.server import make_server, open_socket
from emotion2vec_edge.engine.serve.service import Service
from emotion2vec_edge.engine.serve.settings import ServeSettings
from emotion2vec_edge.engine.settings import ModelSettings

EXACT = ModelSettings(precision="fp32")
"""The embedded model in fp32, as the fixture ``recognizer`` has it."""

MONO_BYTES = 32_000
"""Bytes of one second of 16-bit samples at 16 kHz."""


@dataclass(frozen=True)
class Running:
    """A service that listens."""

    service: Service
    server: object
    port: int
    http: httpx.Client

    @property
    def socket_url(self):
        return f"ws://127.0.0.1:{self.port}/v1/audio/emotions/stream"

    def metric(self, name, **labels):
        """Value of a metric now."""
        return self.service.metrics.registry.get_sample_value(name, labels) or 0.0


@contextlib.contextmanager
def serving(**settings):
    """A running service with these settings, which ends after the block."""
    settings = {"model": EXACT, "port": 0, **settings}
    chosen = ServeSettings(**settings)
    with open_socket(chosen) as listening:
        port = listening.getsockname()[1]
        server = make_server(Service(chosen))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        until(lambda: server.started or not thread.is_alive())
        base = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(base_url=base, timeout=60, trust_env=False) as client:
                yield Running(server.service, server, port, client)
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def busy(running):
    """The model is busy in the block."""
    begun, release = threading.Event(), threading.Event()
    holder = threading.Thread(
        target=running.service.inference.run,
        args=(Work(Priority.LIVE), lambda: (begun.set(), release.wait(60))),
    )
    holder.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        release.set()
        holder.join()


def received(raw, *words):
    """What a socket gives until these words came, or it ends."""
    content = b""
    while not all(word in content for word in words) and (piece := raw.recv(65_536)):
        content += piece
    return content


def until(condition, seconds=30):
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)

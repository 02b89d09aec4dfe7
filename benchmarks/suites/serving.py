"""The service against the plain loop in Python: requests a second, live windows, memory."""

from __future__ import annotations

import contextlib
import http.client
import io
import itertools
import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.errors import MissingExtraError, ServiceError
from emotion2vec_edge.engine.progress import Progress
from emotion2vec_edge.engine.settings import (
    STREAM_HOP_SECONDS,
    STREAM_WINDOW_SECONDS,
    ProviderChoice,
)

from ..instruments.machine import describe
from ..instruments.process import E2V
from ..models import model_line
from ..reporting.document import Document
from ..reporting.table import Column, Table
from ..speech import of_length, sample_speech

EMOTIONS = "/v1/audio/emotions"
BLOCKS_A_SECOND = 50
"""Blocks of live audio that a client sends in a second."""
QUANTILES = (50, 95, 99)


@dataclass(frozen=True)
class ServingSettings:
    """Load that the service is measured under."""

    model: str | None = None
    """Path or name of a bundle; None takes the default."""
    provider: ProviderChoice = "auto"
    threads: int | None = None
    clients: tuple[int, ...] = (1, 8, 64)
    """Numbers of clients that ask at the same time."""
    seconds: float = 3.0
    """Length of each recording."""
    duration: float = 10.0
    """Seconds of each load."""
    sessions: tuple[int, ...] = (1, 16)
    """Numbers of live sessions at the same time."""
    live: float = 20.0
    """Seconds of audio of each live session."""


@dataclass(frozen=True)
class _Served:
    """A service in a process of its own."""

    host: str
    port: int
    process: int
    """Process id."""

    def memory(self) -> float:
        """MiB in memory."""
        status = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8")
        found = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0


@contextlib.contextmanager
def serving(settings: ServingSettings, *options: str) -> Iterator[_Served]:
    """A service for the block.

    Raises:
        ServiceError: it does not begin.
    """
    most = str(max(settings.clients) + 1)
    command = [*E2V, "serve", "--port", "0", "--provider", settings.provider, "--queue", most,
               "--sessions", str(max(settings.sessions)), *options]  # fmt: skip
    if settings.model is not None:
        command += ["--model", settings.model]
    if settings.threads is not None:
        command += ["--threads", str(settings.threads)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own
    lines = process.stderr
    assert lines is not None  # noqa: S101 - for the type checker: it is a pipe
    log: list[str] = []
    found = None
    while found is None and (line := lines.readline()):
        log.append(line)
        found = re.search(r"http://([\d.]+):(\d+)/", line)
    reader = threading.Thread(target=lambda: [None for _ in lines])
    reader.start()
    try:
        if found is None:
            raise ServiceError(f"the service did not begin: {''.join(log).strip()}")
        yield _Served(found[1], int(found[2]), process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        reader.join()
        lines.close()


def measure(settings: ServingSettings, progress: Progress) -> Document:
    """Measure the service on this machine.

    Args:
        settings: the load.
        progress: receives the name of each step.

    Raises:
        MissingExtraError: the packages of the service are not installed.
        ServiceError: the service does not begin.
        ModelError, ProviderError: the model cannot be used.
    """
    try:
        import websockets.sync.client  # noqa: F401 - told before anything is measured
    except ImportError:
        raise MissingExtraError(
            "the service is an extra: pip install 'emotion2vec-edge[serve]'"
        ) from None
    machine = describe()
    recognizer = Recognizer.load(
        settings.model, provider=settings.provider, threads=settings.threads
    )
    progress("the process")
    with serving(settings) as served:
        empty = served.memory()
    with serving(settings, "--preload") as served:
        loaded = served.memory()
        requests = _requests(served, recognizer, settings, progress)
        live = _live(served, recognizer, settings, progress)
        after = served.memory()
    return Document(
        "serve",
        {key: list(value) if isinstance(value, tuple) else value
         for key, value in asdict(settings).items()},
        [model_line(recognizer)],
        machine,
        [requests, live, _process(empty, loaded, after)],
    )  # fmt: skip


def _clip(seconds: float) -> bytes:
    """A WAV of speech."""
    file = io.BytesIO()
    soundfile.write(file, of_length(sample_speech(), seconds), SAMPLE_RATE, "PCM_16", format="WAV")
    return file.getvalue()


def _requests(
    served: _Served, recognizer: Recognizer, settings: ServingSettings, progress: Progress
) -> Table:
    content = _clip(settings.seconds)
    expected = recognizer.recognize(content).scores
    table = Table(
        "Requests",
        [Column("runner"), Column("clients"), Column("requests/s", ".1f", "higher"),
         *(Column(f"p{p} ms", ".1f", "lower") for p in QUANTILES),
         Column("answers", "d"), Column("lost or different", "d", "lower")],
        note=f"WAV of {settings.seconds:g} s, {settings.duration:g} s of load each; the loop calls "
        "recognize() on the same bytes. Clients share the machine with the service.",
    )  # fmt: skip
    progress("the loop in this process")
    loop = _until(settings.duration, lambda: recognizer.recognize(content).scores)
    table.rows.append(_row("loop in Python", 1, [loop], expected, settings))
    for clients in settings.clients:
        progress(f"{clients} clients")
        asked = _together(clients, lambda: _client(served, content, settings.duration))
        table.rows.append(_row("service", clients, asked, expected, settings))
    return table


Answers = list[tuple[float, Any]]
"""Seconds that each answer took, and its scores."""


def _until(duration: float, ask: Callable[[], Any]) -> Answers:
    """Ask again and again for so many seconds; the first two answers do not count."""
    answers: Answers = []
    end = None
    for number in itertools.count():
        started = time.perf_counter()
        if end is not None and started > end:
            return answers
        answer = ask()
        if number >= 2:
            answers.append((time.perf_counter() - started, answer))
        elif number == 1:
            end = time.perf_counter() + duration
    return answers


def _client(served: _Served, content: bytes, duration: float) -> Answers:
    connection = http.client.HTTPConnection(served.host, served.port, timeout=300)

    def ask() -> Any:
        connection.request("POST", EMOTIONS, content, {"Content-Type": "audio/wav"})
        answer = connection.getresponse()
        text = answer.read()
        return json.loads(text)["scores"] if answer.status == http.HTTPStatus.OK else None

    with contextlib.closing(connection):
        return _until(duration, ask)


def _together(count: int, function: Callable[[], Any]) -> list[Any]:
    """Results of as many threads, which run the function at the same time."""
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _row(
    runner: str, clients: int, asked: list[Answers], expected: Any, settings: ServingSettings
) -> list[Any]:
    answers = [answer for own in asked for answer in own]
    times = 1000 * np.array([seconds for seconds, _ in answers])
    wrong = sum(scores != dict(expected) for _, scores in answers) + (clients - len(asked))
    quantiles = [float(value) for value in np.percentile(times, QUANTILES)]
    rate = len(answers) / settings.duration
    return [runner, str(clients), rate, *quantiles, len(answers), wrong]


def _live(
    served: _Served, recognizer: Recognizer, settings: ServingSettings, progress: Progress
) -> Table:
    samples = of_length(sample_speech(), settings.live)
    table = Table(
        "Live windows",
        [Column("runner"), Column("sessions"),
         *(Column(f"p{p} ms", ".1f", "lower") for p in QUANTILES),
         Column("windows", "d"), Column("dropped", "d", "lower")],
        note=f"Windows of {STREAM_WINDOW_SECONDS:g} s every {STREAM_HOP_SECONDS:g} s; from the "
        "moment that a window's last sample was due to its result.",
    )  # fmt: skip
    progress("a stream in this process")
    rows = [("stream in Python", 1, [_streamed(recognizer, samples)])]
    for sessions in settings.sessions:
        progress(f"{sessions} live sessions")
        found = _together(sessions, lambda: _session(served, samples))
        rows.append(("service", sessions, found))
    for runner, sessions, found in rows:
        latencies = [1000 * latency for own, _ in found for latency in own]
        quantiles = [float(value) for value in np.percentile(latencies, QUANTILES)]
        dropped = sum(lost for _, lost in found)
        table.rows.append([runner, str(sessions), *quantiles, len(latencies), dropped])
    return table


def _blocks(samples: Samples) -> Iterator[tuple[Samples, float]]:
    """Blocks of samples at the pace of time, and the time at which each was due."""
    step = SAMPLE_RATE // BLOCKS_A_SECOND
    started = time.perf_counter()
    for first in range(0, len(samples), step):
        due = started + (first + step) / SAMPLE_RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        yield samples[first : first + step], due


def _streamed(recognizer: Recognizer, samples: Samples) -> tuple[list[float], int]:
    """Latency of each window of a stream in this process, and windows that were left out."""
    recognizer.recognize(samples[: 2 * SAMPLE_RATE], SAMPLE_RATE)  # the first call is slower
    stream = recognizer.stream()
    latencies: list[float] = []
    for block, due in _blocks(samples):
        stream.feed(block, arrived=due)
        latencies.extend(window.latency for window in stream.ready())
    return latencies, 0


def _session(served: _Served, samples: Samples) -> tuple[list[float], int]:
    """Latency of each window of a live session, and windows that were left out."""
    from websockets.sync.client import connect

    heard: list[tuple[float, dict[str, Any]]] = []
    url = f"ws://{served.host}:{served.port}{EMOTIONS}/stream"
    with connect(url, compression=None) as socket:
        socket.recv()

        def listen() -> None:
            for message in socket:
                heard.append((time.perf_counter(), json.loads(message)))  # noqa: PERF401 - in time

        listener = threading.Thread(target=listen)
        listener.start()
        started = time.perf_counter()
        for block, _ in _blocks(samples):
            socket.send((32_767 * block).astype("<i2").tobytes())
        socket.send('{"type": "end"}')
        listener.join()
    closed = heard[-1][1]
    ready = [(at, window) for at, window in heard if window["type"] == "window"]
    # The last window is complete only by the end, which is told apart from the audio.
    return [at - started - window["end"] for at, window in ready[:-1]], int(closed["dropped"])


def _process(empty: float, loaded: float, after: float) -> Table:
    from emotion2vec_edge.engine.serve import __file__ as place

    page = sum(path.stat().st_size for path in Path(place).with_name("page").rglob("*"))
    return Table(
        "The process and the page",
        [Column("what"), Column("value", ".1f", "lower"), Column("unit")],
        [
            ["memory, idle, before the model is loaded", empty, "MiB"],
            ["memory, idle, with the model", loaded, "MiB"],
            ["memory, after the load above", after, "MiB"],
            ["all files of the page", page / 1000, "kB"],
        ],
    )

"""Metrics for Prometheus, and a log line for each request; no names of files or clients."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..version import __version__

LOGGER = logging.getLogger("emotion2vec_edge.serve")

LogFormat = Literal["line", "json"]
"""A line for people, or JSON for programs."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Upper limits of the histogram of durations, in seconds."""

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own: dict[str, Any] = {"registry": self.registry}
        self.requests = Histogram(
            "http_server_request_duration_seconds", "Time from request to answer.",
            ("method", "route", "status"), buckets=BUCKETS, **own,
        )  # fmt: skip
        self.inference = Histogram(
            "e2v_inference_seconds", "Time of one step of the model.", buckets=BUCKETS, **own
        )
        self.queue_wait = Histogram(
            "e2v_queue_wait_seconds", "Time that a request waited for a thread.",
            buckets=BUCKETS, **own,
        )  # fmt: skip
        self.queue_depth = Gauge("e2v_queue_depth", "Requests that wait for a thread.", **own)
        self.audio = Counter("e2v_audio_seconds", "Seconds of audio that were encoded.", **own)
        self.sessions = Gauge("e2v_stream_sessions", "Live sessions that are open.", **own)
        self.windows = Counter("e2v_stream_windows", "Windows of live sessions.", **own)
        self.dropped = Counter(
            "e2v_stream_windows_dropped", "Windows that were left out, to keep up.", **own
        )
        self.rejections = Counter(
            "e2v_rejections", "Requests that were not answered, by error.", ("reason",), **own
        )
        self.results = Counter(
            "e2v_results", "Recordings that were recognized, by emotion.", ("emotion",), **own
        )
        self.jobs = Gauge("e2v_jobs", "Jobs that are kept, by state.", ("state",), **own)
        info = Gauge("e2v_build_info", "Version of emotion2vec-edge.", ("version",), **own)
        info.labels(__version__).set(1)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        content = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            content["error"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)


class LineFormatter(logging.Formatter):
    """One line for people: time, event, and facts as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        facts = [f"{name}={value}" for name, value in getattr(record, "facts", {}).items()]
        text = " ".join([clock, record.getMessage(), *facts])
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def log(event: str, level: int = logging.INFO, **facts: Any) -> None:
    """Log an event with its facts; those that are None are left out."""
    known = {name: value for name, value in facts.items() if value is not None}
    LOGGER.log(level, event, extra={"facts": known})


def start_logging(format_: LogFormat, level: int = logging.INFO) -> None:
    """Send the log to stderr, and with it the warnings of the server below."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if format_ == "json" else LineFormatter())
    for logger, least in ((LOGGER, level), (logging.getLogger("uvicorn"), logging.WARNING)):
        logger.handlers[:] = [handler]
        logger.setLevel(least)
        logger.propagate = False

"""All outputs of a stream together."""

import io
import json

import pytest

from emotion2vec_edge.engine.alerts.rules import Rule, Watch
from emotion2vec_edge.engine.sinks.outbox import SinkReport
from emotion2vec_edge.engine.sinks.outputs import Outputs
from emotion2vec_edge.engine.streaming.events import SourceLost
from emotion2vec_edge.engine.streaming.stream import StreamWindow
from emotion2vec_edge.engine.streaming.writers import WINDOW_WRITERS


class Box:
    """A sink that drops every second message."""

    name = "box"

    def __init__(self):
        self.events, self.closed = [], False

    def put(self, message):
        assert not self.closed
        self.events.append(message.event)

    def report(self, time):
        half = len(self.events) // 2
        return SinkReport(time, self.name, len(self.events) - half, half, 0)

    def close(self):
        self.closed = True


def window(end, angry):
    scores = {"angry": angry, "sad": 1 - angry}
    return StreamWindow(end - 1, end, "angry", angry, scores, silent=False, skipped=0, latency=0.0)


def outputs(out, box, told):
    watch = Watch([Rule("upset", ("angry",), 0.6, 0.4)], ["angry", "sad"])
    return Outputs(WINDOW_WRITERS["jsonl"](out), [box], watch, "door", told.append)


def test_windows_alerts_and_reports_go_where_they_belong():
    out, box, told = io.StringIO(), Box(), []
    opened = outputs(out, box, told)
    opened.put(window(1.0, 0.1))
    opened.put(window(1.5, 0.9))
    opened.put(SourceLost(1.7, "gone"))
    opened.put(window(3.0, 0.9))
    opened.end(3.2)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    kinds = [line.get("event", "window") for line in lines]
    assert [kind for kind in kinds if kind != "sink.report"] == box.events == [
        "window", "window", "alert.start", "source.lost", "alert.end", "window", "alert.start", "alert.end",
    ]  # fmt: skip
    assert kinds.count("sink.report") == 2  # at the first message that was dropped, and at the end
    assert lines[-1] == {
        "event": "sink.report", "time": 3.2, "sink": "box", "sent": 4, "dropped": 4, "waiting": 0,
    }  # fmt: skip
    assert told[-1] == "box: 4 messages sent, 4 dropped"
    assert sum("ALERT" in line for line in told) == 2
    assert box.closed


def test_sinks_are_closed_though_stdout_is_gone():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    box = Box()
    opened = outputs(Gone(), box, [])
    with pytest.raises(BrokenPipeError):
        opened.put(window(1.0, 0.9))
    with pytest.raises(BrokenPipeError):
        opened.end(1.0)
    assert box.closed
    assert box.events == ["window"]

"""The queue of a sink: bounded, in order, never waiting, and counted."""

import json
import threading
import time

import pytest

from emotion2vec_edge.engine.sinks.outbox import Message, Outbox
from emotion2vec_edge.engine.streaming.events import SourceLost
from emotion2vec_edge.engine.streaming.stream import StreamWindow


class Desk:
    """A courier that takes messages once it is open."""

    name = "desk"

    def __init__(self, takes=True, opened=True):
        self.open = threading.Event()
        self.takes = takes
        self.got, self.closed = [], False
        if opened:
            self.open.set()

    def wants(self, message):
        return message.event != "noise"

    def deliver(self, message, stop):
        while not self.open.wait(0.01):
            if stop.is_set():
                return False
        self.got.append(message.fields["number"])
        return self.takes

    def close(self):
        self.closed = True


def message(number, event="window"):
    return Message(event, "door", {"number": number}, "2026-01-01T00:00:00.000Z")


def counts(box):
    report = box.report(1.0)
    return report.sent, report.dropped, report.waiting


def test_messages_arrive_in_order_and_are_counted():
    desk = Desk()
    box = Outbox(desk)
    for number in range(100):
        box.put(message(number))
    box.put(message(0, "noise"))
    box.close()
    assert desk.got == list(range(100))
    assert counts(box) == (100, 0, 0)
    assert desk.closed
    assert box.report(1.0).text() == "desk: 100 messages sent, 0 dropped"


def test_a_full_queue_drops_windows_first_and_never_waits():
    desk = Desk(opened=False)
    box = Outbox(desk, most=3)
    box.put(message(0))
    while counts(box)[2] and box._waiting:  # until the thread has taken the first one
        time.sleep(0.01)
    began = time.monotonic()
    for number in range(1, 1_001):
        box.put(message(number))
    box.put(message(-1, "alert.start"))
    box.put(message(-2, "alert.end"))
    assert time.monotonic() - began < 5.0  # a message that waited for the desk would never end
    assert counts(box) == (0, 999, 4)
    for number in range(-4, -2):
        box.put(message(number, "alert.start"))
    desk.open.set()
    box.close()
    assert desk.got == [0, -2, -4, -3]  # the oldest alert made room once there was no window
    assert counts(box) == (4, 1001, 0)


def test_what_is_refused_and_what_has_no_time_left_is_dropped():
    box = Outbox(Desk(takes=False))
    box.put(message(1))
    box.close()
    assert counts(box) == (0, 1, 0)
    stuck = Outbox(Desk(opened=False))
    for number in range(5):
        stuck.put(message(number))
    stuck.close(seconds=0.1)
    assert counts(stuck) == (0, 5, 0)
    assert not stuck._thread.is_alive()


def test_windows_and_events_have_one_form():
    window = StreamWindow(
        0.0, 1.0, "sad", 0.7, {"sad": 0.7, "生气": 0.3}, silent=False, skipped=0, latency=0.1
    )
    lost = json.loads(Message.of(SourceLost(2.0, "gone"), "door").json())
    shown = json.loads(Message.of(window, "door").json())
    assert list(shown)[:3] == list(lost)[:3] == ["event", "source", "at"]
    assert (lost["event"], shown["event"], shown["source"]) == ("source.lost", "window", "door")
    assert shown["scores"] == {"sad": 0.7, "生气": 0.3}
    assert lost["at"].endswith("Z")
    with pytest.raises(ValueError, match="JSON"):
        Message("x", "door", {"a": float("nan")}, "").json()

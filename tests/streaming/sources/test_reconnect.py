"""Sources that are opened again: pauses, reasons, counts, and their end."""

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import AudioNotFoundError, AudioReadError
from emotion2vec_edge.engine.streaming.sources import reconnect
from emotion2vec_edge.engine.streaming.sources.capture import Lost, Piece, Restored

BLOCK = np.ones(1_600, np.float32)


class Script:
    """A source whose connections are lists of blocks, each with an error at its end, or none."""

    name = "rtsp://camera/…"

    def __init__(self, *connections, endless=True):
        self.endless = endless
        self.connections = list(connections)
        self.closed = False

    def connect(self):
        blocks, error = (
            self.connections.pop(0) if self.connections else ([], AudioReadError("done"))
        )
        yield from blocks
        if error is not None:
            raise error

    def close(self):
        self.closed = True


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that a receiver makes, without their time."""
    made = []

    def wait(self, seconds):
        made.append(seconds)
        return len(made) >= 12

    monkeypatch.setattr(reconnect.CaptureBuffer, "wait_for_end", wait)
    return made


def arrivals_of(source, live=None):
    buffer = reconnect.start_reconnecting(source, live)
    arrivals = []
    while (more := buffer.take(10.0)) is not None:
        arrivals += more
    return arrivals, buffer


def test_pauses_double_up_to_half_a_minute(pauses):
    arrivals, _ = arrivals_of(Script())
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]
    assert arrivals == [Lost("done")]


def test_reasons_are_told_when_they_change_and_audio_begins_the_pauses_anew(pauses):
    failing = [([], AudioReadError("rtsp://camera/…: refused")) for _ in range(3)]
    source = Script(
        ([BLOCK, BLOCK], None), *failing, ([], AudioReadError("silence")), ([np.zeros(0, np.float32)], None),
        ([BLOCK], AudioReadError("gone")),
    )  # fmt: skip
    arrivals, buffer = arrivals_of(source)
    told = [arrival for arrival in arrivals if not isinstance(arrival, Piece)]
    assert [type(arrival) for arrival in arrivals[:2]] == [Piece, Piece]
    assert [event.reason for event in told if isinstance(event, Lost)] == [
        "its audio ended", "refused", "silence", "its audio ended", "gone", "done",
    ]  # fmt: skip
    (restored,) = (event for event in told if isinstance(event, Restored))
    assert restored.attempts == 6
    assert 0 <= restored.seconds < 5
    assert pauses[:8] == [0.5, 0.5, 1, 2, 4, 8, 0.5, 0.5]
    assert buffer.live


def test_a_source_with_an_end_ends(pauses):
    arrivals, buffer = arrivals_of(Script(([BLOCK], None), endless=False))
    assert len(arrivals) == 1
    assert pauses == []
    assert not buffer.live


def test_what_no_waiting_mends_ends_a_first_connection_alone(pauses):
    with pytest.raises(AudioNotFoundError, match="404"):
        arrivals_of(Script(([], AudioNotFoundError("404"))))
    assert pauses == []
    arrivals, _ = arrivals_of(
        Script(([BLOCK], None), ([], AudioNotFoundError("404")), ([BLOCK], None))
    )
    assert sum(isinstance(arrival, Piece) for arrival in arrivals) == 2


def test_errors_of_other_kinds_are_not_hidden(pauses):
    with pytest.raises(ZeroDivisionError):
        arrivals_of(Script(([BLOCK], ZeroDivisionError())))


@pytest.mark.parametrize("live", [True, False])
def test_the_user_decides_if_it_is_live(pauses, live):
    _, buffer = arrivals_of(Script(([BLOCK], None), endless=False), live)
    assert buffer.live is live


def test_closing_ends_a_pause_at_once():
    source = Script()
    buffer = reconnect.start_reconnecting(source, None)
    assert buffer.take(10.0) == [Lost("done")]
    buffer.close()
    assert source.closed
    assert not buffer._thread.is_alive()

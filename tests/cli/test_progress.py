"""Progress on a terminal, of every kind, and none in a pipe."""

import io
import time
import types

import pytest

from emotion2vec_edge.engine.cli.progress import RecordingProgress, TerminalProgress, shown_seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal as stderr, from the first use of it: pytest sets its own before each test."""
    out = Terminal()
    monkeypatch.setattr(
        "emotion2vec_edge.engine.cli.progress.sys", types.SimpleNamespace(stderr=out)
    )
    monkeypatch.setattr("click.utils._default_text_stderr", lambda: out)
    return out


def test_a_step_with_a_total_is_a_bar(terminal):
    with TerminalProgress() as progress:
        for done in range(1, 5):
            progress("embeddings", done, 4)
    text = terminal.getvalue()
    assert "embeddings" in text
    assert "4/4" in text
    assert "100%" in text


def test_steps_come_one_after_the_other(terminal):
    with TerminalProgress() as progress:
        progress("reading", 1, 2)
        progress("reading", 2, 2)
        progress("quantizing")
        progress("gate", 7, 7)
    reading, quantizing, gate = (
        terminal.getvalue().index(step) for step in ("reading", "quantizing …", "gate")
    )
    assert reading < quantizing < gate


def test_a_step_may_begin_again_and_go_back(terminal):
    with TerminalProgress() as progress:
        progress("reading", 2, 2)
        progress("reading", 0, 2)
        progress("reading", 9, 2)  # more than was promised
    assert "2/2" in terminal.getvalue()


def test_the_detail_stands_behind_the_bar(terminal):
    with TerminalProgress(lambda: "90 x real time") as progress:
        progress("recordings", 1, 2)
    assert "90 x real time" in terminal.getvalue()


def test_a_line_that_stays_clears_the_bar(terminal):
    with TerminalProgress() as progress:
        progress("recordings", 1, 2)
        progress.say("e2v: x.wav: damaged")
    assert "\r\x1b[Ke2v: x.wav: damaged\n" in terminal.getvalue()


def test_a_line_without_a_bar_is_cleared(terminal):
    with TerminalProgress() as progress:
        progress("quantizing")
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_only_long_recordings_show_their_seconds(terminal):
    with RecordingProgress("short.wav") as progress:
        progress("encoding", 30.0, 59.0)
    assert terminal.getvalue() == ""
    with RecordingProgress("long.wav") as progress:
        progress("encoding", 30.0, 60.4)
    assert "long.wav" in terminal.getvalue()
    with RecordingProgress("<stdin>") as progress:
        progress("encoding", 30.4, None)
    assert "<stdin>: 30 s …" in terminal.getvalue()


def test_none_in_a_pipe(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    with TerminalProgress() as progress:
        progress("reading", 1, 2)
        progress("quantizing")
        progress.say("a line that stays")
    assert out.getvalue() == "a line that stays\n"


def test_work_without_steps_counts_its_seconds(terminal):
    with shown_seconds("preparing"):
        time.sleep(1.5)
    assert "preparing: 1 s …" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_work_without_steps_is_named_in_a_pipe(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    with shown_seconds("preparing"):
        pass
    assert out.getvalue() == "e2v: preparing\n"

"""Windows and utterances of a stream as text."""

import csv
import io
import json

import numpy as np
import pytest

from emotion2vec_edge.engine.streaming.stream import StreamWindow
from emotion2vec_edge.engine.streaming.utterances import UtteranceEnd, UtteranceStart
from emotion2vec_edge.engine.streaming.writers import WINDOW_FORMATS, WINDOW_WRITERS


def window(**changes):
    fields = {
        "start": 0.5, "end": 2.5, "emotion": "sad", "confidence": 0.75,
        "scores": {"sad": 0.75, "生气": 0.25}, "silent": False, "skipped": 1, "latency": 0.0123,
    }  # fmt: skip
    return StreamWindow(**{**fields, **changes})


def written(format_, *windows):
    out = io.StringIO()
    writer = WINDOW_WRITERS[format_](out)
    for one in windows:
        writer.write(one)
    writer.close()
    return out.getvalue()


def test_every_format_has_a_writer():
    assert list(WINDOW_WRITERS) == list(WINDOW_FORMATS)


def test_json_lines():
    lines = written("jsonl", window(), window(start=1.0)).splitlines()
    assert [json.loads(line) for line in lines] == [window().to_dict(), window(start=1.0).to_dict()]
    with pytest.raises(ValueError, match="JSON"):
        written("jsonl", window(confidence=float("nan")))


def test_csv_has_one_header():
    rows = list(csv.reader(io.StringIO(written("csv", window(), window()))))
    assert rows[0] == ["event", "start", "end", "emotion", "confidence", "sad", "生气", "silent", "skipped",
                       "latency"]  # fmt: skip
    assert rows[1] == rows[2] == ["window", "0.500", "2.500", "sad", "0.750000", "0.750000", "0.250000",
                                  "False", "1", "0.0123"]  # fmt: skip


def test_utterances_in_every_format():
    start = UtteranceStart(0.6, 0.3, 0.4)
    end = UtteranceEnd(2.4, 0.3, 2.0, "sad", 0.75, {"sad": 0.75, "angry": 0.25}, (), 0.5)
    texts = {}
    for format_ in WINDOW_FORMATS:
        out = io.StringIO()
        writer = WINDOW_WRITERS[format_](out)
        writer.write_event(start)
        writer.write(window())
        writer.write_event(end)
        texts[format_] = out.getvalue()
    lines = [json.loads(line) for line in texts["jsonl"].splitlines()]
    assert [line.get("event") for line in lines] == ["utterance.start", None, "utterance.end"]
    assert (lines[0]["start"], lines[2]["end"], lines[2]["latency"]) == (0.3, 2.0, 0.5)
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [(row["event"], row["end"]) for row in rows] == [
        ("window", "2.500"),
        ("utterance.end", "2.000"),
    ]
    assert texts["line"].endswith("\r\x1b[K        0.3 – 2.0 s  sad         75%\n")


def test_the_line_of_a_terminal(recognizer, example_samples):
    out = io.StringIO()
    writer = WINDOW_WRITERS["line"](out)
    stream = recognizer.stream()
    for window in stream.push(np.concatenate([np.zeros(32_000, np.float32), example_samples])):
        writer.write(window)
    lines = out.getvalue().split("\r\x1b[K")[1:]
    assert "(silence)" in lines[0]
    assert "█" in lines[-1]
    assert all(len(line) < 79 for line in lines)

"""The pictures of a timeline and of turns."""

import sys

import matplotlib.image
import numpy as np
import pytest

from emotion2vec_edge.engine.errors import MissingExtraError, OptionError, OutputError
from emotion2vec_edge.engine.results.plot import plot_timeline, plot_turns
from emotion2vec_edge.engine.results.types import Conversation, Turn


def test_a_picture_has_the_waveform_and_the_emotions(recognizer, example, tmp_path):
    encoding = recognizer.encode(example)
    path = tmp_path / "x.png"
    plot_timeline(encoding, path, 1.0, 0.5, "x.flac")
    picture = matplotlib.image.imread(path)
    assert picture.shape == (675, 1500, 4)
    upper, lower = picture[:225, :1200, :3], picture[300:600, :1200, :3]
    assert (np.abs(upper - 0.267).max(axis=2) < 0.01).mean() > 0.02  # the waveform's grey
    assert len(np.unique(lower.round(2).reshape(-1, 3), axis=0)) >= 5  # bands of several emotions
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_a_vector_picture_names_every_emotion(recognizer, example_samples, tmp_path):
    path = tmp_path / "x.svg"
    encoding = recognizer.encode(example_samples[:8_000], 16_000)
    plot_timeline(encoding, path, 0.1, 0.05, "$a_b^c$.wav")
    text = path.read_text()
    for word in (*recognizer.labels, "seconds", "probability", "$a_b^c$.wav"):
        assert f"<!-- {word} -->" in text


def test_what_cannot_be_drawn(recognizer, example, tmp_path, monkeypatch):
    encoding = recognizer.encode(example)
    with pytest.raises(OptionError, match=r"\.png, \.svg"):
        plot_timeline(encoding, tmp_path / "x.gif", 1.0, 0.5, "x")
    with pytest.raises(OutputError, match="no/x.png"):
        plot_timeline(encoding, tmp_path / "no" / "x.png", 1.0, 0.5, "x")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"\[plot\]"):
        plot_timeline(encoding, tmp_path / "x.png", 1.0, 0.5, "x")


def conversation(*turns):
    labels = ("angry", "sad", "bored")
    return Conversation(
        tuple(
            Turn(start, end, speaker, None, emotion, 0.5, dict.fromkeys(labels, 1 / 3), ())
            for start, end, speaker, emotion in turns
        ),
        10.0, labels, (), "small", "cpu",
    )  # fmt: skip


def test_turns_have_a_lane_for_each_speaker(tmp_path):
    path = tmp_path / "x.svg"
    turns = conversation(
        (0.0, 2.0, "ann", "angry"), (3.0, 5.0, "$bob$\n", "sad"), (6.0, 7.0, None, "unknown"),
        (7.0, 8.0, "x" * 100, "bored"),
    )  # fmt: skip
    plot_turns(turns, path, "call.wav")
    text = path.read_text()
    words = ("ann", "$bob$", "unknown speaker", f"{'x' * 29}…", "angry", "sad", "bored", "call.wav")
    for word in words:
        assert f"<!-- {word} -->" in text
    plot_turns(conversation(), tmp_path / "empty.png", "silence.wav")
    assert matplotlib.image.imread(tmp_path / "empty.png").shape[1] == 1500


def test_a_crowd_is_drawn_in_a_picture_that_can_be_opened(tmp_path):
    turns = conversation(*((i / 100, i / 100 + 0.01, f"s{i}", "sad") for i in range(300)))
    plot_turns(turns, tmp_path / "x.png", "x")
    assert matplotlib.image.imread(tmp_path / "x.png").shape[0] == 4_500

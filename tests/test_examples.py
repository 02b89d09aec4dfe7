"""The programs in examples/ run."""

import importlib.util
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio

FOLDER = Path(__file__).resolve().parent.parent / "examples"


def run(name, *args):
    done = subprocess.run(
        [sys.executable, FOLDER / name, *map(str, args)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def test_a_folder_with_progress(tmp_path):
    (tmp_path / "below").mkdir()
    shutil.copy(example_recordings()[0], tmp_path / "below")
    shutil.copy(example_recordings()[1], tmp_path)
    (tmp_path / "notes.txt").write_text("no audio")
    done = run("recognize_folder.py", tmp_path)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert sorted(Path(path).name for _, _, path in rows) == sorted(
        path.name for path in example_recordings()[:2]
    )
    recognizer = Recognizer.load()
    for emotion, confidence, path in rows:
        expected = recognizer.recognize(path)
        assert (emotion, confidence) == (expected.emotion, f"{expected.confidence:.2f}")
    assert "notes.txt" in done.stderr
    assert done.stderr.endswith("2 recognized, 1 failed\n")


def test_a_live_microphone(monkeypatch, capsys):
    samples = load_audio(example_recordings()[0]).samples

    class Microphone:
        """Gives its callback all of a recording at once."""

        def __init__(self, *, samplerate, channels, dtype, callback):
            assert (samplerate, channels, dtype) == (16_000, 1, "float32")
            self.callback = callback

        def __enter__(self):
            for start in range(0, len(samples), 1_600):
                block = samples[start : start + 1_600, None].copy()
                self.callback(block, len(block), None, None)
                block[:] = np.nan  # a callback's memory belongs to the device

        def __exit__(self, *_):
            pass

    sounddevice = types.SimpleNamespace(InputStream=Microphone)
    monkeypatch.setitem(sys.modules, "sounddevice", sounddevice)
    spec = importlib.util.spec_from_file_location("live", FOLDER / "live_microphone.py")
    live = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(live)
    live.main(4.0)
    with Recognizer.load().stream([samples[:64_000]]) as stream:
        expected = [(f"{w.start:.1f}", f"{w.end:.1f}", w.emotion) for w in stream]
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[2], row[4]) for row in printed] == expected


def test_a_picture_of_a_timeline(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "timeline.png"
    done = run("plot_timeline.py", example_recordings()[0], picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert float(rows[0][0]) == 0
    assert float(rows[-1][2]) == pytest.approx(
        load_audio(example_recordings()[0]).seconds, abs=0.02
    )


@pytest.mark.slow
def test_a_head_of_ones_own(tmp_path):
    """Two labels that are two pitches, said by three voices."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    time = np.arange(9_600) / 16_000
    for label, pitch in (("high", 700), ("low", 120)):
        for voice in range(3):
            folder = tmp_path / "speech" / label / f"voice{voice}"
            folder.mkdir(parents=True)
            for take in range(3):
                tone = np.sin(2 * np.pi * pitch * (1 + 0.02 * rng.standard_normal()) * time)
                noise = (0.01 + 0.01 * voice) * rng.standard_normal(len(time))
                soundfile.write(folder / f"{take}.wav", (0.2 * tone + noise).astype("f4"), 16_000)
    done = run("finetune_head.py", tmp_path / "speech", tmp_path / "model")
    recognizer = Recognizer.load(tmp_path / "model")
    assert recognizer.labels == ("high", "low")
    assert "fitted on 18 clips of 3 speakers" in done.stdout
    assert ": high (" in done.stdout.splitlines()[-1]
    assert recognizer.recognize(tmp_path / "speech/low/voice1/1.wav").emotion == "low"

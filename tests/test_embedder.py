"""Recordings → embeddings: whole files, turns, windows, and corpora."""

import numpy as np
import pytest

from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.embedder import EmbedUnit, embed_clips, embed_recordings, fit_speech
from emotion2vec_edge.engine.errors import AudioNotFoundError, OptionError
from emotion2vec_edge.engine.settings import IntakeSettings


def test_a_whole_recording_is_one_embedding(recognizer, example):
    ((found,),) = embed_recordings(recognizer, [str(example)], EmbedUnit(), IntakeSettings())
    encoding = recognizer.encode(example)
    np.testing.assert_array_equal(found.vector, encoding.embedding())
    assert found.clip.emotion == encoding.utterance().emotion
    assert (found.clip.path, found.clip.start, found.clip.end) == (str(example), None, None)


def test_windows_are_means_of_the_frames_in_them(recognizer, example):
    (found,) = embed_recordings(recognizer, [str(example)], EmbedUnit(window=1.0), IntakeSettings())
    encoding = recognizer.encode(example, frames=True)
    starts = [item.clip.start for item in found]
    assert starts[:3] == [0.0, 1.0, 2.0]
    assert found[-1].clip.end == pytest.approx(encoding.seconds, abs=1e-3)
    np.testing.assert_allclose(found[1].vector, encoding.frames[50:100].mean(axis=0), atol=0.05)
    assert [item.clip.emotion for item in found] == [w.emotion for w in encoding.timeline(1.0, 1.0)]


def test_turns_are_encoded_alone(recognizer, example, tmp_path):
    (tmp_path / "turns.txt").write_text("0.5\t2.0\tann\n2.0\t4.0\tben\n")
    unit = EmbedUnit(turns=str(tmp_path / "turns.txt"))
    (found,) = embed_recordings(recognizer, [str(example)], unit, IntakeSettings())
    assert [(item.clip.start, item.clip.end) for item in found] == [(0.5, 2.0), (2.0, 4.0)]
    turns = recognizer.turns(example, tmp_path / "turns.txt", embeddings=True)
    np.testing.assert_array_equal(found[1].vector, turns[1].embedding)


def test_a_corpus_gives_speech_to_fit_and_names_what_failed(recognizer, example, tmp_path):
    clips = [
        LabelledClip(example, "sad", "own", 0.0, 1.5, speaker="ann"),
        LabelledClip(tmp_path / "gone.wav", "sad", "own"),
        LabelledClip(example, "happy", "own", 1.5, 3.0),
    ]
    failures = []
    found = list(embed_clips(recognizer, clips, on_failure=failures.append))
    assert [type(error) for error in failures] == [AudioNotFoundError]
    speech = fit_speech(found)
    assert speech.labels == ["sad", "happy"]
    assert speech.speakers == ["own/ann", f"{example} [1.50–3.00 s]"]
    logits = np.stack([
        (own := recognizer.encode(clip.samples(), 16_000).logits.mean(axis=0)) - own.mean()
        for clip in (clips[0], clips[2])
    ])  # fmt: skip
    np.testing.assert_allclose(speech.logits, logits, atol=1e-3)
    with pytest.raises(AudioNotFoundError):
        list(embed_clips(recognizer, clips))
    with pytest.raises(OptionError, match="no recording"):
        fit_speech([])


@pytest.mark.parametrize("unit", [EmbedUnit(), EmbedUnit(window=1.0)])
def test_a_recording_that_fails_leaves_its_error_in_its_place(recognizer, example, tmp_path, unit):
    files = [str(tmp_path / "gone.wav"), str(example)]
    failed, found = embed_recordings(recognizer, files, unit, IntakeSettings())
    assert isinstance(failed, AudioNotFoundError)
    assert found[0].clip.path == str(example)

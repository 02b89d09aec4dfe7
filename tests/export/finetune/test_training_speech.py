"""Speech in memory: decoded, split by speakers, weighted."""

import dataclasses

import numpy as np
import pytest

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.finetune.bundle_head import finetune_bundle
from emotion2vec_edge.export.finetune.speech import SoundFile, held_out_speakers, load_speech


def test_recordings_that_cannot_be_decoded_are_all_named(corpus, tmp_path):
    clips = read_corpus(corpus, "train")
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_text("text")
    bad = [dataclasses.replace(clips[i], path=tmp_path / f"{n}.wav") for i, n in enumerate("ab")]
    for fit in (
        lambda c: load_speech(c, ["angry", "happy", "sad"]),
        lambda c: finetune_bundle("emotion2vec_small", c, tmp_path / "out"),
    ):
        with pytest.raises(OptionError, match=r"(?s)line 2: .*a\.wav.*line 3: .*b\.wav"):
            fit([*bad, *clips[2:]])
    assert not (tmp_path / "out").exists()


def test_held_out_speakers_are_whole_and_do_not_change(corpus, tmp_path):
    labels = ["angry", "happy", "sad"]
    speech = load_speech(read_corpus(corpus, "train"), labels)
    held = held_out_speakers(speech, 0.25)
    assert set(speech.speakers[held]).isdisjoint(speech.speakers[~held])
    assert 0 < held.sum() <= 0.5 * len(speech)
    weights = speech.weights()
    assert weights.sum() == pytest.approx(1)
    per_label = [weights[speech.labels == k].sum() for k in range(3)]
    np.testing.assert_allclose(per_label, 1 / 3)


def test_without_speakers_recordings_are_held_out(corpus):
    clips = [dataclasses.replace(clip, speaker=None) for clip in read_corpus(corpus, "train")]
    speech = load_speech(clips, ["angry", "happy", "sad"])
    held = held_out_speakers(speech, 0.25)
    assert held.sum() == 9
    assert len(set(speech.speakers)) == 36


def test_long_clips_are_cut_and_bad_ones_may_be_left_out(corpus, tmp_path):
    clips = read_corpus(corpus, "train")
    (tmp_path / "a.wav").write_text("text")
    unlabelled = dataclasses.replace(clips[0], label=None)
    bad = dataclasses.replace(clips[1], path=tmp_path / "a.wav")
    told = []
    speech = load_speech(
        [unlabelled, bad, clips[2]], ["angry"], longest=0.3, on_problems=told.append
    )
    assert "a.wav" in told[0]
    whole = load_speech([unlabelled, clips[2]], ["angry"])
    assert whole.labels.tolist() == [-1, 0]
    assert speech.seconds() == whole.seconds()
    assert max(map(len, speech.waves)) <= 0.3 * 16_000
    own = [wave for wave, clip in zip(speech.waves, speech.clips, strict=True) if clip.label]
    np.testing.assert_array_equal(np.concatenate(own), whole.waves[1])
    with SoundFile(tmp_path / "sound") as sound:
        mapped = load_speech([unlabelled, clips[2]], ["angry"], sound=sound)
    for ours, theirs in zip(mapped.waves, whole.waves, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    both = speech + whole
    assert len(both) == len(speech) + 2
    assert both.labels.tolist()[-2:] == [-1, 0]

"""The speech of a distillation."""

import dataclasses

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.engine.corpora.labelled import LabelledClip, read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.progress import no_progress
from emotion2vec_edge.export.distill.data import load_data, unlabelled_clips

LABELS = ["angry", "happy", "sad"]


@pytest.fixture
def loaded(tmp_path):
    """Loads clips of three labels."""

    def load(clips, tell=print, left_out=()):
        folder = tmp_path / "cache"
        return load_data(clips, LABELS, 0.25, left_out, folder, no_progress, tell)

    return load


def test_speakers_are_held_out_of_both_kinds(corpus, loaded):
    labelled = read_corpus(corpus, "train")
    data = loaded(labelled + unlabelled_clips([str(corpus.parent / "calls")]))
    assert (len(data.validation), len(data.labelled), len(data.training)) == (9, 27, 54)
    assert not set(data.checksums) & set(data.validation_checksums)
    assert set(data.validation.speakers) & set(data.labelled.speakers) == set()


def test_the_checksum_is_of_sound_and_labels(corpus, loaded):
    clips = read_corpus(corpus, "train")
    first = loaded(clips).checksum()
    assert loaded(clips).checksum() == first
    turned = {"angry": "sad", "sad": "angry", "happy": "happy"}
    other = [dataclasses.replace(clip, label=turned[clip.label]) for clip in clips]
    assert loaded(other).checksum() != first
    assert loaded(clips[:-1]).checksum() != first


def test_long_recordings_are_cut_and_bad_ones_named(tmp_path, rng, loaded):
    folder = tmp_path / "calls"
    folder.mkdir()
    for name, seconds in (("long", 50), ("a", 1), ("b", 1), ("short", 0.1)):
        noise = 0.1 * rng.standard_normal(round(seconds * 16_000))
        soundfile.write(folder / f"{name}.wav", noise, 16_000)
    (folder / "text.wav").write_text("text")
    lines = []
    data = loaded(unlabelled_clips([str(folder)]), lines.append)
    parts = [len(wave) for wave in data.training.waves if len(wave) > 16_000]
    assert len(parts) == 3
    assert max(parts) <= 20 * 16_000
    assert sum(parts) == 50 * 16_000
    assert (data.training.labels == -1).all()
    assert not list((tmp_path / "cache").iterdir())  # the file of their sound has no name
    assert "text.wav" in lines[0]
    assert "short.wav: under 0.2 s" in lines[0]


def test_nothing_to_learn_from(tmp_path, loaded):
    (tmp_path / "text.wav").write_text("text")
    with pytest.raises(OptionError, match="no recording can be learned from"):
        loaded(unlabelled_clips([str(tmp_path / "text.wav")]))
    with pytest.raises(OptionError, match="no such file"):
        loaded([LabelledClip(tmp_path / f"{i}.wav", "sad", "c") for i in range(9)])


def test_silence_is_speech_without_a_label(corpus, tmp_path, loaded):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    data = loaded(read_corpus(corpus, "train") + unlabelled_clips([str(tmp_path / "silence.wav")]))
    assert (data.training.labels == -1).sum() == 1


def test_a_corpus_is_left_out_whole(corpus, loaded):
    clips = read_corpus(corpus, "train")
    # Sound that differs, as another corpus's does.
    foreign = [dataclasses.replace(clip, corpus="abroad", start=0.1) for clip in clips]
    data = loaded(clips + foreign, left_out=["abroad"])
    assert set(data.training.corpora) == {"calls"}
    assert (data.validation.corpora == "abroad").sum() == len(foreign)
    assert (data.validation.corpora == "calls").sum() == 9
    assert data.checksum() != loaded(clips + foreign).checksum()
    with pytest.raises(OptionError, match="no labelled clip is of that corpus; there are calls"):
        loaded(clips, left_out=["abroad"])
    with pytest.raises(OptionError, match="names every corpus"):
        loaded(clips, left_out=["calls"])

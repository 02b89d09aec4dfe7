"""Speech that cannot be learned from, refused with everything that is wrong at once."""

import pytest

from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.finetune.checks import check_clips


def clip(path, label="sad", speaker="s", row=2):
    return LabelledClip(path, label, "c", speaker=speaker, row=row)


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    here = tmp_path / "a.wav"
    here.touch()
    clips = [
        *[clip(here, "sad", f"s{i}", i) for i in range(2, 8)],
        clip(tmp_path / "gone.wav", "sad", "s1", 8),
        clip(here, "bewildered", "s1", 9),
        clip(here, None, "s1", 10),
        clip(here, "angry", "s1", 11),
    ]
    with pytest.raises(OptionError) as error:
        check_clips(clips, ("angry", "sad"))
    text = str(error.value)
    assert f"no such file:\n  line 8: {tmp_path / 'gone.wav'}" in text
    assert f"it has angry, sad:\n  line 9: {here} (bewildered)" in text
    assert f"without a label:\n  line 10: {here}" in text
    assert f"1 clips of angry, and at least 5 are needed:\n  line 11: {here}" in text


@pytest.mark.parametrize(
    ("labels", "speakers", "message"),
    [
        (["sad"] * 6, "abcdef", "only the label sad; at least two"),
        (["sad", "angry"] * 6, "aaaaaaaaaaaa", "all clips are of the one speaker a"),
        ([], "", "no labelled clip at all"),
    ],
)
def test_too_little_variety(tmp_path, labels, speakers, message):
    path = tmp_path / "a.wav"
    path.touch()
    clips = [clip(path, *values) for values in zip(labels, speakers, strict=True)]
    with pytest.raises(OptionError, match=message):
        check_clips(clips, None)

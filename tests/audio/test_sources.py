"""Paths, bytes, open files and pipes."""

import io
import os
import threading

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine.audio.recording import load_audio
from emotion2vec_edge.engine.errors import AudioNotFoundError, InvalidSamplesError


def test_paths_bytes_and_open_files_give_the_same(tmp_path):
    content = encoded(tone(), 16_000, "FLAC")
    path = tmp_path / "a.flac"
    path.write_bytes(content)
    expected = load_audio(path).samples
    with path.open("rb") as file:
        from_file = load_audio(file).samples
    for samples in (load_audio(str(path)).samples, load_audio(content).samples, from_file):
        np.testing.assert_array_equal(samples, expected)


def test_a_named_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[encoded(tone(), 16_000, "WAV")])
    writer.start()
    assert len(load_audio(pipe).samples) == 16_000
    writer.join()


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(AudioNotFoundError, match="No such file"):
        load_audio(tmp_path / "nothing.wav")
    with pytest.raises(FileNotFoundError):
        load_audio(str(tmp_path / "nothing.wav"))
    with pytest.raises(AudioNotFoundError, match="folder"):
        load_audio(tmp_path)
    with pytest.raises(AudioNotFoundError):
        load_audio("a\0b.wav")


def test_text_streams_are_refused():
    with pytest.raises(InvalidSamplesError, match="open it as binary"):
        load_audio(io.StringIO("text"))

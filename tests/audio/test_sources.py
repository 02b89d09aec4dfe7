"""Paths, bytes, open files and pipes."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine.audio import sources
from emotion2vec_edge.engine.audio.recording import load_audio
from emotion2vec_edge.engine.errors import (
    AudioError,
    AudioNotFoundError,
    AudioReadError,
    InvalidSamplesError,
    UndecodableAudioError,
)


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


def test_an_open_file_stays_its_owners(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(), 16_000, "WAV"))
    with path.open("rb") as file:
        assert len(load_audio(file).samples) == 16_000
        assert file.tell() == 0
        assert file.read(4) == b"RIFF"
    with pytest.raises(AudioReadError, match="a.wav: cannot be read: .*closed"):
        load_audio(file)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[encoded(tone(), 16_000, "WAV")])
    writer.start()
    with pipe.open("rb") as file:
        assert len(load_audio(file).samples) == 16_000
        assert not file.closed
    writer.join()


def test_a_file_that_is_open_as_text(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(), 16_000, "WAV"))
    with path.open(encoding="latin-1") as file, pytest.raises(InvalidSamplesError, match="binary"):
        load_audio(file)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/dev/full"])
def test_devices_are_refused(name):
    with pytest.raises(AudioNotFoundError, match=f"{name}: is a device"):
        load_audio(name)


# Failures of the operating system.


@pytest.fixture
def failing_disk(monkeypatch):
    """Every file fails with EIO from this byte on."""
    read = os.preadv

    def start(limit):
        def fail(descriptor, buffers, position):
            if position + len(buffers[0]) > limit:
                raise OSError(5, "Input/output error")
            return read(descriptor, buffers, position)

        monkeypatch.setattr(os, "preadv", fail)

    return start


FAILING = {
    "a.wav": ("WAV", {"subtype": "PCM_16"}),
    "a.flac": ("FLAC", {}),
    "a.mp3": ("MP3", {}),
    "a.ogg": ("OGG", {}),
}


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
@pytest.mark.parametrize("name", FAILING)
def test_a_disk_that_fails_while_it_is_read(name, share, tmp_path, failing_disk, capfd):
    container, options = FAILING[name]
    path = tmp_path / name
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * 16_000).astype(np.float32)
    path.write_bytes(encoded(noise, 16_000, container, **options))
    assert len(load_audio(path).samples) > 150_000
    failing_disk(share * path.stat().st_size)
    with pytest.raises(AudioReadError, match=f"{name}: cannot be read: Input/output error"):
        load_audio(path)
    assert capfd.readouterr() == ("", "")


def test_a_pipe_that_fails_while_it_is_read(monkeypatch):
    class Failing(io.RawIOBase):
        name = "socket"
        content = encoded(tone(4.0), 16_000, "WAV")

        def readable(self):
            return True

        def readinto(self, buffer):
            if not self.content:
                raise ConnectionResetError(104, "Connection reset by peer")
            piece, self.content = self.content[: len(buffer)], self.content[len(buffer) :]
            buffer[: len(piece)] = piece
            return len(piece)

    with pytest.raises(AudioReadError, match="socket: cannot be read: Connection reset by peer"):
        load_audio(Failing())
    monkeypatch.setattr(sources, "PIPE_BYTES", 50_000)  # it fails after its head
    with pytest.raises(AudioReadError, match="socket: cannot be read: Connection reset by peer"):
        load_audio(Failing())


@pytest.mark.parametrize(
    "target", ["/proc/version", "/proc/self/mem", "/proc/kmsg", "/sys/kernel/notes"]
)
def test_links_to_files_of_the_kernel(target, tmp_path):
    """Such a file has no size, cannot seek, or fails to be read."""
    link = tmp_path / "a.wav"
    link.symlink_to(target)
    with pytest.raises(AudioError, match="a.wav: "):
        load_audio(link)


# Names.


@pytest.mark.parametrize("content", [b"damaged", b"", b"RIFF\0\0\0\0WAVEfmt "])
@pytest.mark.parametrize("name", [b"\xff\xfe.wav", "größe.wav".encode("latin-1"), b"\x1b[2J\n.wav"])
def test_names_that_are_not_utf8_can_be_told(name, content, tmp_path):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(content)
    for source in (str(path), path):
        with pytest.raises(UndecodableAudioError) as caught:
            load_audio(source)
        str(caught.value).encode()
    with path.open("rb") as file, pytest.raises(UndecodableAudioError) as caught:
        load_audio(file)
    str(caught.value).encode()


@pytest.mark.parametrize("name", ["gone\udcff.wav", "other\ud800.wav", "g" * 5_000, "a\0\udcff"])
def test_names_of_files_that_are_not_there(name):
    with pytest.raises(AudioNotFoundError) as caught:
        load_audio(name)
    str(caught.value).encode()


def test_no_descriptor_is_left_open(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(), 16_000, "WAV"))
    damaged = tmp_path / "b.wav"
    damaged.write_bytes(b"damaged")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        load_audio(path)
        with path.open("rb") as file:
            load_audio(file)
        for wrong in (damaged, tmp_path, tmp_path / "gone"):
            with pytest.raises(AudioError):
                load_audio(wrong)
    assert len(list(descriptors.iterdir())) == before

"""Headers of WAV and AIFF, in files and in pipes."""

import io

import numpy as np
import pytest
import soundfile
from recordings import encoded

from emotion2vec_edge.engine.audio import riff
from emotion2vec_edge.engine.audio.readers import to_float
from emotion2vec_edge.engine.audio.riff import promised_frames, read_wav_header
from emotion2vec_edge.engine.audio.sources import open_source
from emotion2vec_edge.engine.errors import AudioReadError, UndecodableAudioError


def frames_of(content):
    source = open_source(content)
    try:
        return promised_frames(source.open())
    finally:
        source.close()


class Pipe:
    """A pipe of zeros after some bytes, which counts what is read, and what is read at once."""

    def __init__(self, head, size):
        self.head = io.BytesIO(head)
        self.left = size
        self.total = self.largest = 0

    def read(self, size):
        self.largest = max(self.largest, size)
        piece = self.head.read(size)
        if not piece:
            piece = bytes(min(size, self.left))
            self.left -= len(piece)
        self.total += len(piece)
        return piece


def wav(*, chunks=b"", channels=1):
    """A WAV of 1,000 frames with chunks before its samples."""
    samples = np.zeros((1_000, channels), np.float32)
    content = encoded(samples, 16_000, "WAV", subtype="PCM_16")
    return content[:12] + chunks + content[12:]


def chunk(name, content):
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


@pytest.mark.parametrize(
    ("subtype", "sample_format"),
    [
        ("PCM_U8", "u8"),
        ("PCM_16", "s16le"),
        ("PCM_24", "s24le"),
        ("PCM_32", "s32le"),
        ("FLOAT", "f32le"),
    ],
)
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_plain_samples_of_a_wav_in_a_pipe(subtype, sample_format, container):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (5_000, 2)).astype(np.float32)
    content = encoded(samples, 8_000, container, subtype=subtype)
    pipe = io.BytesIO(content + b"LIST of no samples")
    format_ = read_wav_header(pipe)
    assert (format_.rate, format_.channels, format_.sample_format) == (8_000, 2, sample_format)
    found = format_.decode(pipe.read(format_.length))
    assert pipe.read() == b"LIST of no samples"
    assert found.shape == (5_000, 2)
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_allclose(to_float(found), expected, atol=1e-6)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_whose_writer_did_not_know_its_length(length):
    content = bytearray(encoded(np.ones(1_000, np.float32), 16_000, "WAV", subtype="PCM_16"))
    content[40:44] = length.to_bytes(4, "little")
    pipe = io.BytesIO(bytes(content))
    assert read_wav_header(pipe).length is None
    assert len(pipe.read()) == 2_000
    assert frames_of(bytes(content)) is None


def test_a_pipe_that_is_no_wav():
    raw = io.BytesIO(b"\x01\x00" * 20)
    assert read_wav_header(raw) == b"\x01\x00" * 6
    assert len(raw.read()) == 28
    with pytest.raises(UndecodableAudioError, match="ends before"):
        read_wav_header(io.BytesIO(b"RIFF\0\0\0\0WAVE"))
    broken = bytearray(encoded(np.zeros(100, np.float32), 16_000, "WAV", subtype="PCM_16"))
    broken[24:28] = bytes(4)
    with pytest.raises(UndecodableAudioError, match="a WAV at 0 Hz"):
        read_wav_header(io.BytesIO(bytes(broken)))
    adpcm = encoded(np.zeros(2_000, np.float32), 16_000, "WAV", subtype="IMA_ADPCM")
    with pytest.raises(UndecodableAudioError, match=r"codec 17.*ffmpeg"):
        read_wav_header(io.BytesIO(adpcm))
    aiff = encoded(np.zeros(2_000, np.float32), 16_000, "AIFF")
    with pytest.raises(UndecodableAudioError, match=r"an AIFF.*ffmpeg"):
        read_wav_header(io.BytesIO(aiff))


def test_more_channels_than_are_taken():
    with pytest.raises(UndecodableAudioError, match="65 channels"):
        read_wav_header(io.BytesIO(wav(channels=65)))


# One parser for both.


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_16"), ("WAVEX", "FLOAT"), ("AIFF", "PCM_16")]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_frames_that_a_header_promises(container, subtype, channels):
    samples = np.zeros((1_234, channels), np.float32)
    content = encoded(samples, 16_000, container, subtype=subtype)
    source = open_source(content)
    file = source.open()
    assert promised_frames(file) == 1_234
    assert file.tell() == 0
    source.close()
    # A header that is cut off before its samples promises nothing it could be held to.
    assert frames_of(content[:30]) in (None, 1_234)


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_frames_of_other_codecs_are_not_guessed(container):
    subtype = "IMA_ADPCM" if container == "WAV" else "PCM_16"
    content = encoded(np.zeros(5_000, np.float32), 16_000, container, subtype=subtype)
    assert frames_of(content) is None


@pytest.mark.parametrize("odd", [b"", b"x", b"four", b"A title.\0"])
def test_chunks_before_the_samples_are_passed_over(odd):
    content = wav(chunks=chunk(b"LIST", odd) + chunk(b"fmt ", bytes(17)))
    pipe = io.BytesIO(content)
    assert read_wav_header(pipe).length == 2_000
    assert len(pipe.read()) == 2_000
    assert frames_of(content) == 1_000


def test_a_long_chunk_in_a_pipe_is_not_held():
    """A chunk of 4 GB was read whole."""
    pipe = Pipe(b"RIFF\0\0\0\0WAVE" + b"junk" + b"\xff" * 4, 1 << 32)
    with pytest.raises(UndecodableAudioError, match=r"4294967296 bytes before its samples.*ffmpeg"):
        read_wav_header(pipe)
    assert pipe.total <= riff.MOST_SKIPPED_BYTES
    # Many chunks that are each short enough.
    junk = (b"junk" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)) * 70
    with pytest.raises(UndecodableAudioError, match="bytes before its samples"):
        read_wav_header(io.BytesIO(b"RIFF\0\0\0\0WAVE" + junk))
    # A picture among the tags of a recording is taken.
    pipe = Pipe(b"RIFF\0\0\0\0WAVE" + b"id3 " + (5 << 20).to_bytes(4, "little"), 5 << 20)
    with pytest.raises(UndecodableAudioError, match="ends before"):
        read_wav_header(pipe)
    assert pipe.total == (5 << 20) + 20
    assert pipe.largest <= riff.SKIP_BYTES


def test_a_header_of_countless_chunks_ends():
    chunks = chunk(b"junk", b"") * 100_000
    with pytest.raises(UndecodableAudioError, match="has 1000 chunks before them"):
        read_wav_header(io.BytesIO(wav(chunks=chunks)))
    content = wav(chunks=chunks)
    assert frames_of(content) is None


def test_a_pipe_that_cannot_be_read():
    class Broken:
        def read(self, size):
            raise OSError(5, "Input/output error")

    with pytest.raises(AudioReadError, match="<stdin>: cannot be read: Input/output error"):
        read_wav_header(Broken())

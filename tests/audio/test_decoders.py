"""Containers and codecs that are decoded, and files that are refused."""

import io
import os

import numpy as np
import pytest
import soundfile
from recordings import encoded, tone

from emotion2vec_edge.engine.audio.recording import load_audio
from emotion2vec_edge.engine.errors import (
    AudioTooShortError,
    InvalidSamplesError,
    NoAudioStreamError,
    TruncatedAudioError,
    UndecodableAudioError,
)

PCM = {
    "PCM_U8": 2e-2,
    "PCM_16": 1e-4,
    "PCM_24": 1e-6,
    "PCM_32": 1e-6,
    "FLOAT": 1e-7,
    "DOUBLE": 1e-7,
}


@pytest.mark.parametrize(("subtype", "tolerance"), PCM.items())
def test_wav_of_every_depth_is_read_as_it_is(subtype, tolerance):
    audio = load_audio(encoded(tone(), 16_000, "WAV", subtype=subtype))
    np.testing.assert_allclose(audio.samples, tone(), atol=tolerance)
    assert audio.samples.dtype == np.float32


@pytest.mark.parametrize(
    ("container", "codec", "subtype", "decoder"),
    [
        ("FLAC", None, "PCM_16", "libsndfile"),
        ("OGG", None, "VORBIS", "libsndfile"),
        ("OGG", None, "OPUS", "libsndfile"),
        ("MP3", None, "MPEG_LAYER_III", "libsndfile"),
        ("AIFF", None, "PCM_16", "libsndfile"),
        ("ipod", "aac", None, "ffmpeg"),  # .m4a
        ("mp4", "aac", None, "ffmpeg"),
        ("webm", "libopus", None, "ffmpeg"),
        ("matroska", "aac", None, "ffmpeg"),
        ("adts", "aac", None, "ffmpeg"),
    ],
)
def test_containers(example_samples, container, codec, subtype, decoder):
    samples = np.stack([example_samples, example_samples], axis=1)
    audio = load_audio(encoded(samples, 48_000, container, codec=codec, subtype=subtype))
    assert audio.decoder == decoder
    assert (audio.source_rate, audio.source_channels) == (48_000, 2)
    assert audio.seconds == pytest.approx(len(example_samples) / 48_000, abs=0.1)


def test_amr_narrow_band(amr_bytes):
    audio = load_audio(amr_bytes)
    assert audio.decoder == "ffmpeg"
    assert audio.source_rate == 8_000
    assert audio.seconds == pytest.approx(0.2, abs=0.03)


@pytest.fixture
def amr_bytes():
    # Ten 20 ms frames of AMR-NB mode 0 (4.75 kbit/s: a header byte and 12 bytes), all zero bits.
    return b"#!AMR\n" + (b"\x04" + bytes(12)) * 10


def test_eight_channels_at_192_khz():
    samples = np.tile(tone(1.0, 192_000)[:, None], (1, 8))
    audio = load_audio(encoded(samples, 192_000, "WAV", subtype="PCM_24"))
    assert (audio.source_rate, audio.source_channels, len(audio.samples)) == (192_000, 8, 16_000)


def test_decoding_keeps_one_block_of_the_source(monkeypatch):
    """A long many-channelled file is never held at its own rate."""
    sizes = []
    read = soundfile.SoundFile.read

    def spy(self, frames=-1, *args, **kwargs):
        sizes.append(frames)
        return read(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", spy)
    load_audio(encoded(tone(20.0, 48_000), 48_000, "WAV"))
    assert len(sizes) >= 5
    assert max(sizes) <= 5 * 48_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("container", "codec"),
    [("adts", "aac"), ("swf", "libmp3lame"), ("ac3", "ac3"), ("avi", "adpcm_ms")],
)
def test_an_estimated_length_is_no_promise(container, codec, rng):
    """FFmpeg estimates some lengths from the bit rate; such files were refused as cut off."""
    noise = rng.uniform(-0.5, 0.5, 9 * 44_100).astype(np.float32)
    audio = load_audio(encoded(noise, 44_100, container, codec=codec))
    assert audio.seconds == pytest.approx(9.0, abs=0.1)


def test_metadata_that_is_not_utf8_does_no_harm():
    content = encoded(tone(1.0), 16_000, "matroska", codec="aac")
    assert content.count(b"Lavf") > 1  # the muxer's name
    audio = load_audio(content.replace(b"Lavf", b"L\xff\xfef"))
    assert audio.decoder == "ffmpeg"
    np.testing.assert_array_equal(audio.samples, load_audio(content).samples)


def test_a_stream_that_begins_later_is_passed_over(rng):
    """A picture in the middle of FLV, MPEG-TS or SWF: PyAV ends such a file with an IndexError."""
    noise = rng.uniform(-0.5, 0.5, 20 * 44_100).astype(np.float32)
    content = encoded(noise, 44_100, "flv", codec="libmp3lame")
    tags, at = [], 13  # after the header
    while at < len(content):
        size = 11 + int.from_bytes(content[at + 1 : at + 4], "big") + 4
        tags.append(content[at : at + size])
        at += size
    middle = len(tags) // 2
    picture = b"\x09\0\0\x14" + tags[middle][4:8] + b"\0\0\0" + b"\x12" + bytes(19) + b"\0\0\0\x1f"
    whole = load_audio(content)
    late = load_audio(content[:13] + b"".join([*tags[:middle], picture, *tags[middle:]]))
    np.testing.assert_array_equal(late.samples, whole.samples)


# Refused files.


@pytest.mark.parametrize(
    "content",
    [b"This is a letter, not a recording.\n" * 50, bytes(5_000), os.urandom(64) * 100, b"RIFF"],
    ids=["text", "zeros", "noise", "four bytes"],
)
def test_files_that_are_not_audio(content):
    with pytest.raises(UndecodableAudioError, match="neither libsndfile .* nor FFmpeg"):
        load_audio(content)


def test_an_empty_file():
    with pytest.raises(UndecodableAudioError, match="the file is empty"):
        load_audio(b"")


def test_a_container_without_audio():
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        out.mux(stream.encode(image))
        out.mux(stream.encode(None))
    with pytest.raises(NoAudioStreamError, match="without an audio stream"):
        load_audio(file.getvalue())


def test_playlists_open_nothing_else(tmp_path):
    """A file may name others; a recognizer that opened them would read or fetch what it was not given."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(encoded(tone(), 16_000, "WAV"))
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(UndecodableAudioError):
        load_audio(playlist)
    concat = tmp_path / "list.ffconcat"
    concat.write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    with pytest.raises(UndecodableAudioError):
        load_audio(concat)


@pytest.mark.parametrize(
    ("offset", "value", "size"),
    [(24, 0, 4), (24, 2**32 - 1, 4), (22, 0, 2), (22, 65_535, 2), (20, 0x4242, 2)],
    ids=["rate 0", "rate 4 GHz", "no channel", "65535 channels", "unknown codec"],
)
def test_absurd_wav_headers(offset, value, size):
    content = bytearray(encoded(tone(), 16_000, "WAV"))
    content[offset : offset + size] = value.to_bytes(size, "little")
    with pytest.raises((UndecodableAudioError, AudioTooShortError, InvalidSamplesError)):
        load_audio(bytes(content))


# Files that are cut off.


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF"])
def test_cut_off_files_say_where_they_end(container):
    content = encoded(tone(4.0), 16_000, container)
    with pytest.raises(UndecodableAudioError, match=r"after \d\.\d\d s"):
        load_audio(content[: len(content) // 2])


def test_a_cut_off_wav_says_what_was_promised():
    content = encoded(tone(4.0), 16_000, "WAV")
    with pytest.raises(TruncatedAudioError, match=r"ends after 1\.00 s .* promises 4\.00 s"):
        load_audio(content[: 44 + 32_000])


def test_a_cut_off_mp3_is_refused(example_samples):
    content = encoded(example_samples, 16_000, "MP3")
    with pytest.raises(TruncatedAudioError, match="cut off"):
        load_audio(content[: len(content) // 2])


def test_a_cut_off_m4a_is_refused(example_samples):
    content = encoded(example_samples, 16_000, "ipod", codec="aac")
    with pytest.raises(UndecodableAudioError):
        load_audio(content[: len(content) // 2])


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_wav_from_a_pipe_may_not_know_its_length(length):
    content = bytearray(encoded(tone(), 16_000, "WAV"))
    content[40:44] = length.to_bytes(4, "little")
    content[4:8] = length.to_bytes(4, "little")
    if length:
        assert len(load_audio(bytes(content)).samples) == 16_000
    else:
        with pytest.raises(AudioTooShortError):
            load_audio(bytes(content))

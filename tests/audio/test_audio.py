"""The audio door: what comes in, and what is turned away with which words."""

import io
import os
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import encoded, tone

from emotion2vec_edge.engine.audio.recording import load_audio
from emotion2vec_edge.engine.errors import (
    AudioNotFoundError,
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


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_becomes_16_khz(rate):
    audio = load_audio(tone(2.0, rate), rate)
    assert len(audio.samples) == pytest.approx(32_000, abs=2)
    middle = slice(4_000, 28_000)
    np.testing.assert_allclose(audio.samples[middle], tone(2.0)[middle], atol=2e-3)


def test_eight_channels_at_192_khz():
    samples = np.tile(tone(1.0, 192_000)[:, None], (1, 8))
    audio = load_audio(encoded(samples, 192_000, "WAV", subtype="PCM_24"))
    assert (audio.source_rate, audio.source_channels, len(audio.samples)) == (192_000, 8, 16_000)


def test_channels_are_averaged_or_picked():
    samples = np.stack([tone(), np.zeros(16_000, np.float32)], axis=1)
    np.testing.assert_allclose(load_audio(samples, 16_000).samples, tone() / 2)
    np.testing.assert_array_equal(load_audio(samples, 16_000, channel=0).samples, tone())
    assert not load_audio(samples, 16_000, channel=1).samples.any()
    with pytest.raises(InvalidSamplesError, match="no channel 2; it has 2"):
        load_audio(samples, 16_000, channel=2)


@pytest.mark.parametrize(
    ("dtype", "scale", "offset", "tolerance"),
    [("int16", 2**15, 0, 1e-4), ("int32", 2**31, 0, 1e-6), ("uint8", 2**7, 128, 1e-2)],
)
def test_integer_arrays_are_scaled(dtype, scale, offset, tolerance):
    array = (tone().astype(np.float64) * scale + offset).astype(dtype)
    np.testing.assert_allclose(load_audio(array, 16_000).samples, tone(), atol=tolerance)


def test_float64_arrays_and_lists():
    np.testing.assert_array_equal(load_audio(tone().astype(np.float64), 16_000).samples, tone())
    assert load_audio([0.25] * 500, 16_000).samples.tolist() == [0.25] * 500


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


@settings(max_examples=30, deadline=None)
@given(
    rate=st.integers(1_000, 200_000),
    channels=st.integers(1, 4),
    count=st.integers(1, 60_000),
    seed=st.integers(0, 2**32 - 1),
)
def test_length_follows_rate_for_any_clip(rate, channels, count, seed):
    samples = np.random.default_rng(seed).uniform(-1, 1, (count, channels)).astype(np.float32)
    expected = count * 16_000 / rate
    if expected < 398:
        with pytest.raises(AudioTooShortError):
            load_audio(samples, rate)
    elif expected > 402:
        audio = load_audio(samples, rate)
        assert len(audio.samples) == pytest.approx(expected, abs=2)
        assert np.isfinite(audio.samples).all()


# What is turned away.


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(AudioNotFoundError, match="No such file"):
        load_audio(tmp_path / "nothing.wav")
    with pytest.raises(FileNotFoundError):
        load_audio(str(tmp_path / "nothing.wav"))
    with pytest.raises(AudioNotFoundError, match="folder"):
        load_audio(tmp_path)
    with pytest.raises(AudioNotFoundError):
        load_audio("a\0b.wav")


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


@pytest.mark.parametrize("count", [1, 399])
def test_too_short(count):
    with pytest.raises(AudioTooShortError, match=f"{count} samples .* at least 400"):
        load_audio(tone()[:count], 16_000)


def test_exactly_long_enough():
    assert len(load_audio(tone()[:400], 16_000).samples) == 400


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(value):
    samples = tone()
    samples[8_000] = value
    with pytest.raises(InvalidSamplesError, match=r"at 0\.500 s is NaN or infinite"):
        load_audio(samples, 16_000)
    with pytest.raises(InvalidSamplesError, match="NaN or infinite"):
        load_audio(encoded(samples, 16_000, "WAV", subtype="FLOAT"))


def test_float64_beyond_float32_is_infinite():
    with pytest.raises(InvalidSamplesError, match="infinite"):
        load_audio(np.full(500, 1e300), 16_000)


@pytest.mark.parametrize(
    ("source", "rate", "message"),
    [
        (tone(), None, "need their rate"),
        (tone(), 16_000.5, "whole number"),
        (tone(), True, "whole number"),
        (tone(), 0, "sample rate of 0 Hz"),
        (tone(), -16_000, "sample rate"),
        (tone(), 10**9, "sample rate"),
        (np.zeros((2, 16_000), np.float32), 16_000, "channels come last"),
        (np.zeros((2, 2, 2)), 16_000, "shape"),
        (np.float32(3), 16_000, "shape"),
        (np.zeros(500, np.complex64), 16_000, "complex64"),
        (np.array(["a"] * 500), 16_000, "dtype"),
        (np.zeros(500, bool), 16_000, "dtype bool"),
        ([[1.0], [1.0, 2.0]], 16_000, "not an array"),
        (None, 16_000, "shape"),
    ],
)
def test_arrays_that_are_not_samples(source, rate, message):
    with pytest.raises(InvalidSamplesError, match=message):
        load_audio(source, rate)


def test_an_empty_array_is_too_short():
    with pytest.raises(AudioTooShortError):
        load_audio(np.zeros(0, np.float32), 16_000)


def test_text_streams_are_refused():
    with pytest.raises(InvalidSamplesError, match="open it as binary"):
        load_audio(io.StringIO("text"))


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

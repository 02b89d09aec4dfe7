"""Files that grow: what was there, what comes, and a file in the place of another."""

import contextlib
import io
import os
import threading

import numpy as np
import pytest
import soundfile
from recordings import encoded, tone

from emotion2vec_edge.engine.errors import (
    AudioNotFoundError,
    InvalidSamplesError,
)
from emotion2vec_edge.engine.settings import SourceSettings
from emotion2vec_edge.engine.streaming.sources import growing, reconnect
from emotion2vec_edge.engine.streaming.sources.capture import Lost, Piece, Restored

PCM = (tone(4.0) * 32_767).astype("<i2")


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(growing, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(reconnect, "FIRST_DELAY", 0.01)


@contextlib.contextmanager
def following(path, **settings):
    source = growing.GrowingFile(path, SourceSettings(**settings))
    buffer = reconnect.start_reconnecting(source, live=False)
    yield lambda until: taken(buffer, until)
    buffer.close()
    assert not buffer._thread.is_alive()


def taken(buffer, until):
    """Arrivals until so many samples came, or something else than audio."""
    arrivals = []
    while sum(len(arrival.samples) for arrival in arrivals if isinstance(arrival, Piece)) < until:
        more = buffer.take(10.0)
        assert more, f"nothing more after {arrivals}"
        arrivals += more
    return arrivals


def append(path, content):
    with path.open("ab") as file:
        file.write(content)


def samples_of(arrivals):
    return np.concatenate([arrival.samples for arrival in arrivals if isinstance(arrival, Piece)])


def test_a_wav_whose_header_knows_no_length(tmp_path):
    path = tmp_path / "growing.wav"
    header = encoded(PCM, 16_000, "WAV", subtype="PCM_16")[:40] + b"\0\0\0\0"
    path.write_bytes(header + PCM[:16_000].tobytes())
    with following(path) as take:
        first = samples_of(take(16_000))
        append(path, PCM[16_000:32_001].tobytes()[:-1])  # half a sample at the end
        second = samples_of(take(16_000))
        append(path, PCM[32_000:].tobytes()[1:])
        third = samples_of(take(len(PCM) - 32_000))
    heard = np.concatenate([first, second, third])
    assert np.array_equal(heard, PCM / np.float32(32_768))


def test_a_wav_is_followed_beyond_the_length_in_its_header(tmp_path):
    path = tmp_path / "growing.wav"
    soundfile.write(path, PCM[:16_000], 16_000)
    with following(path) as take:
        take(16_000)
        append(path, PCM[16_000:].tobytes())
        heard = samples_of(take(48_000))
    assert np.array_equal(heard, PCM[16_000:] / np.float32(32_768))


def test_raw_samples(tmp_path):
    path = tmp_path / "growing.raw"
    path.write_bytes(PCM.tobytes())
    with following(path, rate=16_000) as take:
        assert np.array_equal(samples_of(take(len(PCM))), PCM / np.float32(32_768))


def test_what_ffmpeg_decodes(tmp_path):
    """As much as is there is heard at once, not only blocks of seconds."""
    content = io.BytesIO()
    soundfile.write(content, np.tile(PCM, 3), 16_000, format="MP3")
    content = content.getvalue()
    path = tmp_path / "growing.mp3"
    path.write_bytes(content[: len(content) // 2])
    with following(path) as take:
        first = len(samples_of(take(5 * 16_000)))
        append(path, content[len(content) // 2 :])
        assert first + len(samples_of(take(11 * 16_000 - first))) >= 11 * 16_000


@pytest.mark.parametrize("how", ["replaced", "shorter"])
def test_another_file_in_its_place(tmp_path, how):
    path = tmp_path / "growing.raw"
    path.write_bytes(PCM.tobytes())
    with following(path, rate=16_000) as take:
        take(len(PCM))
        new = PCM[:10_000].tobytes()
        if how == "shorter":
            os.truncate(path, 0)
            path.write_bytes(new)
        else:
            (tmp_path / "new").write_bytes(new)
            (tmp_path / "new").replace(path)
        arrivals = take(10_000)
    assert arrivals[0] == Lost("its audio ended")
    assert isinstance(arrivals[1], Restored)
    assert len(samples_of(arrivals)) == 10_000


def test_a_file_that_is_deleted_and_comes_back(tmp_path):
    path = tmp_path / "growing.raw"
    path.write_bytes(PCM.tobytes())
    with following(path, rate=16_000) as take:
        take(len(PCM))
        path.unlink()
        threading.Timer(0.1, lambda: path.write_bytes(PCM.tobytes())).start()
        arrivals = take(len(PCM))
    reasons = [arrival.reason for arrival in arrivals if isinstance(arrival, Lost)]
    assert reasons == ["its audio ended", "No such file or directory"]


@pytest.mark.parametrize(
    ("content", "settings", "error", "message"),
    [
        (None, {}, AudioNotFoundError, "gone.wav: No such file"),
        (PCM.tobytes(), {"rate": 16_000, "channel": 3}, InvalidSamplesError, "no channel 3"),
    ],
)
def test_what_waiting_does_not_mend(tmp_path, content, settings, error, message):
    path = tmp_path / "gone.wav"
    if content is not None:
        path.write_bytes(content)
    source = growing.GrowingFile(path, SourceSettings(**settings))
    buffer = reconnect.start_reconnecting(source, live=False)
    with pytest.raises(error, match=message):
        list(iter(lambda: buffer.take(10.0), None))
    buffer.close()


def test_a_folder(tmp_path):
    source = growing.GrowingFile(tmp_path, SourceSettings())
    with pytest.raises(AudioNotFoundError, match="not a regular file"):
        next(source.connect())

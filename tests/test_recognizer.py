"""The engine as its users call it, on real speech."""

import dataclasses
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from recordings import encoded

from emotion2vec_edge.engine import (
    Recognizer,
    example_recordings,
    load_audio,
)
from emotion2vec_edge.engine.audio import normalized, sources
from emotion2vec_edge.engine.errors import (
    AudioTooLongError,
    NoHeadError,
    OptionError,
    ProviderError,
    UndecodableAudioError,
)
from emotion2vec_edge.engine.runtime import chunking


class CountingSession:
    """A session that counts its runs."""

    def __init__(self, session):
        self.session = session
        self.runs = 0

    def run(self, *args):
        self.runs += 1
        return self.session.run(*args)


def test_an_utterance(recognizer, example, embedding_shape):
    utterance = recognizer.recognize(example)
    assert utterance.emotion in recognizer.labels
    assert utterance.confidence == max(utterance.scores.values())
    assert sum(utterance.scores.values()) == pytest.approx(1, abs=1e-5)
    assert list(utterance.scores) == list(recognizer.labels)
    assert utterance.embedding.shape == embedding_shape
    assert utterance.seconds == pytest.approx(5.3)
    assert (utterance.model, utterance.provider) == ("emotion2vec_small", "cpu")
    assert utterance.timings.encode > 0


def test_one_encoder_pass_gives_everything(recognizer, example):
    counting = CountingSession(recognizer.encoder.encoder)
    spied = dataclasses.replace(
        recognizer, encoder=dataclasses.replace(recognizer.encoder, encoder=counting)
    )
    encoding = spied.encode(example)
    encoding.utterance()
    encoding.timeline()
    encoding.timeline(2.0, 0.5)
    encoding.embedding()
    assert counting.runs == 1


def test_the_timeline_of_ten_seconds(recognizer, example_samples):
    ten = np.tile(example_samples, 2)[:160_000]
    timeline = recognizer.encode(ten, 16_000).timeline()
    assert len(timeline) == 199
    assert timeline[198].end == 10.0
    np.testing.assert_allclose(timeline.scores.sum(axis=1), 1, atol=1e-5)


def test_one_window_over_the_clip_is_the_utterance(recognizer, example):
    encoding = recognizer.encode(example)
    (window,) = encoding.timeline(window=100.0, hop=1.0)
    assert window.scores == pytest.approx(encoding.utterance().scores, abs=1e-6)


def test_front_end_blocks_change_nothing(recognizer, example_samples):
    blocks, whole = (
        dataclasses.replace(
            recognizer.encoder,
            chunking=dataclasses.replace(recognizer.encoder.chunking, block=seconds),
        ).encode(example_samples)
        for seconds in (1.0, 1e6)
    )
    assert np.abs(blocks[0] - whole[0]).max() <= 1e-4
    assert np.abs(blocks[1] - whole[1]).max() <= 1e-4


@pytest.mark.parametrize("length", [400, 401, 719, 720, 16_000, 16_079, 16_080, 19_744])
def test_odd_lengths_give_the_frames_they_should(recognizer, example_samples, length):
    frames, logits = recognizer.encoder.encode(example_samples[:length])
    assert len(frames) == len(logits) == (length - 400) // 320 + 1


@pytest.mark.parametrize("block", [1, 50, 700, 10**6])
@pytest.mark.parametrize("frames", [1, 1_500, 1_501, 2_700, 2_701, 2_999, 10_007])
def test_chunks_cover_every_frame_once(frames, block):
    values = np.arange(frames, dtype=np.float32)[:, None]
    blocks = (values[first : first + block] for first in range(0, frames, block))
    kept, lengths = [], []
    for chunk, keep in chunking.chunks(blocks, 1_500, 100):
        assert len(chunk) <= 1_500
        first, last = chunk[keep][0, 0], chunk[keep][-1, 0]
        assert chunk[0, 0] == max(0, first - 100)
        assert chunk[-1, 0] == min(frames - 1, last + 100)
        kept += chunk[keep][:, 0].tolist()
        lengths.append(len(chunk[keep]))
    assert kept == list(range(frames))
    assert min(lengths) >= min(frames, 600)  # no chunk is left with next to nothing


@pytest.mark.slow
def test_long_audio_is_encoded_in_chunks_near_to_one_pass(recognizer):
    joined = np.concatenate([load_audio(path).samples for path in example_recordings()] * 4)
    assert len(joined) > 60 * 16_000
    chunked = recognizer.encode(joined, 16_000, frames=True)
    assert len(chunked.frames) == len(chunked.logits) == (len(joined) - 400) // 320 + 1
    np.testing.assert_allclose(chunked.embedding(), chunked.frames.mean(axis=0), atol=1e-5)
    whole = Recognizer.load(precision="fp32", chunk_seconds=1_000).encode(joined, 16_000)
    assert chunked.utterance().emotion == whole.utterance().emotion
    assert chunked.utterance().scores == pytest.approx(whole.utterance().scores, abs=0.05)
    assert {warning.code for warning in chunked.warnings} == {"long"}


@pytest.mark.parametrize(
    ("chunk", "context"), [(0.5, 0.0), (float("nan"), 2.0), (4.0, 2.0), (30.0, -1.0)]
)
def test_chunks_that_cannot_be(chunk, context):
    with pytest.raises(OptionError, match="give"):
        Recognizer.load(chunk_seconds=chunk, context_seconds=context)


def test_a_clip_too_large_for_the_memory_says_what_to_do(recognizer, example):
    class Exhausted:
        def run(self, *_):
            raise RuntimeError("bad allocation\nat some line")

    broken = dataclasses.replace(recognizer.encoder, encoder=Exhausted())
    with pytest.raises(ProviderError, match="bad allocation; .*--chunk-seconds"):
        dataclasses.replace(recognizer, encoder=broken).encode(example)


# Recordings that are too long to be held.


def speech_file(path, example_samples, seconds):
    soundfile.write(path, np.resize(example_samples, round(seconds * 16_000)), 16_000)
    return path


@pytest.mark.slow
def test_a_long_file_is_read_twice_and_gives_what_memory_gives(
    recognizer, example_samples, tmp_path, monkeypatch
):
    path = speech_file(tmp_path / "long.flac", example_samples, 75)
    held = recognizer.encode(load_audio(path).samples, 16_000)
    monkeypatch.setattr(normalized, "HELD_SECONDS", 10.0)
    read_twice = recognizer.encode(path)
    assert read_twice.normalization == held.normalization == "whole"
    np.testing.assert_array_equal(read_twice.logits, held.logits)
    assert read_twice.utterance().scores == held.utterance().scores


def test_a_file_that_changes_between_the_readings(
    recognizer, example_samples, tmp_path, monkeypatch
):
    monkeypatch.setattr(normalized, "HELD_SECONDS", 10.0)
    path = speech_file(tmp_path / "long.wav", example_samples, 20)
    pieces_of = type(recognizer.encoder).pieces_of

    def change(encoder, clips):
        speech_file(path, example_samples, 15)
        return pieces_of(encoder, clips)

    monkeypatch.setattr(type(recognizer.encoder), "pieces_of", change)
    with pytest.raises(UndecodableAudioError, match="changed while it was read"):
        recognizer.encode(path)


@pytest.fixture
def long_pipe(tmp_path, monkeypatch):
    """Opens the bytes of a file as a pipe that does not fit in what is held."""
    monkeypatch.setattr(sources, "PIPE_BYTES", 100_000)
    monkeypatch.setattr(normalized, "HELD_SECONDS", 10.0)
    writers = []

    def open_pipe(content):
        path = tmp_path / f"pipe{len(writers)}"
        os.mkfifo(path)
        writers.append(threading.Thread(target=path.write_bytes, args=(content,)))
        writers[-1].start()
        return path

    yield open_pipe
    for writer in writers:
        writer.join()


@pytest.mark.slow
def test_a_long_pipe_is_normalised_as_it_runs(recognizer, example_samples, long_pipe):
    samples = np.resize(example_samples, 40 * 16_000)
    running = recognizer.encode(long_pipe(encoded(samples, 16_000, "WAV", subtype="PCM_16")))
    assert running.normalization == "running"
    assert running.seconds == 40.0
    whole = recognizer.encode(samples, 16_000)
    assert running.utterance().scores == pytest.approx(whole.utterance().scores, abs=0.005)


def test_a_long_pipe_that_breaks_off_gives_what_there_was(recognizer, example_samples, long_pipe):
    content = encoded(np.resize(example_samples, 40 * 16_000), 16_000, "WAV", subtype="PCM_16")
    encoding = recognizer.encode(long_pipe(content[: 44 + 2 * 30 * 16_000]))
    assert encoding.seconds == pytest.approx(30.0)
    assert {warning.code for warning in encoding.warnings} >= {"incomplete"}


def test_a_short_pipe_is_like_a_file(recognizer, example, long_pipe):
    expected = recognizer.recognize(example)
    found = recognizer.recognize(long_pipe(example.read_bytes()[:]))
    assert found.normalization == "whole"
    assert found.scores == expected.scores


def test_progress_is_told(recognizer, example_samples):
    told = []
    samples = np.resize(example_samples, 70 * 16_000)
    recognizer.encode(samples, 16_000, progress=lambda *state: told.append(state))
    assert len(told) == 3
    assert told[-1] == ("encoding", pytest.approx(70.0, abs=0.02), 70.0)


@pytest.mark.parametrize("as_file", [True, False])
def test_a_limit_refuses_or_cuts(recognizer, example_samples, as_file):
    samples = example_samples[:80_000]
    source = (encoded(samples, 16_000, "FLAC"),) if as_file else (samples, 16_000)
    with pytest.raises(AudioTooLongError, match="5 s long, at most 2 s are taken"):
        recognizer.encode(*source, max_seconds=2.0)
    encoding = recognizer.encode(*source, max_seconds=2.0, cut=True)
    assert encoding.seconds == 2.0
    assert [warning.code for warning in encoding.warnings] == ["cut"]
    alone = recognizer.encode(load_audio(*source).samples[:32_000], 16_000)
    np.testing.assert_array_equal(encoding.logits, alone.logits)
    assert recognizer.encode(*source, max_seconds=5.0).seconds == 5.0


def test_a_limit_that_cannot_be(recognizer, example):
    for limit in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="max_seconds"):
            recognizer.encode(example, max_seconds=limit)


def test_many_threads_share_a_recognizer(recognizer):
    paths = example_recordings() * 4
    alone = [recognizer.recognize(path).scores for path in paths]
    with ThreadPoolExecutor(4) as pool:
        together = [u.scores for u in pool.map(recognizer.recognize, paths)]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_the_same_speech_in_every_container(recognizer, example_samples):
    expected = recognizer.recognize(example_samples, 16_000)
    containers = {"WAV": None, "FLAC": None, "OGG": None, "MP3": None, "ipod": "aac"}
    for container, codec in containers.items():
        found = recognizer.recognize(encoded(example_samples, 16_000, container, codec=codec))
        assert found.emotion == expected.emotion
        assert found.scores == pytest.approx(expected.scores, abs=0.05), container


def test_loudness_hardly_matters(recognizer, example_samples):
    loud = recognizer.recognize(example_samples, 16_000).scores
    quiet = recognizer.recognize(example_samples * 0.1, 16_000).scores
    assert quiet == pytest.approx(loud, abs=0.02)


@pytest.mark.parametrize("samples", [np.zeros(16_000, np.float32), np.ones(16_000, np.float32)])
def test_silence_and_a_constant_are_recognized_with_a_warning(recognizer, samples):
    utterance = recognizer.recognize(samples, 16_000)
    assert np.isfinite(list(utterance.scores.values())).all()
    assert utterance.warnings


def test_a_model_without_a_head_gives_embeddings_only(recognizer, example, embedding_shape):
    encoding = dataclasses.replace(recognizer.encode(example), logits=None, labels=())
    assert encoding.embedding().shape == embedding_shape
    for answer in (encoding.utterance, encoding.timeline):
        with pytest.raises(NoHeadError, match="embeddings only"):
            answer()


def test_repr_explains_the_model(recognizer):
    text = repr(recognizer)
    for fact in ("emotion2vec_small", "fp32", "MiB", "cpu", "angry", "16000 Hz"):
        assert fact in text

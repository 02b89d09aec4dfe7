"""Many recordings through one door: `Recognizer.encode_many`."""

import dataclasses
import gc
import itertools
import os
import queue

import numpy as np
import pytest

from emotion2vec_edge.engine import AudioError, OptionError, example_recordings
from emotion2vec_edge.engine.audio.ahead import AHEAD
from emotion2vec_edge.engine.audio.normalized import NormalizedRecording
from emotion2vec_edge.engine.audio.recording import Recording
from emotion2vec_edge.engine.errors import AudioNotFoundError, E2VError, ProviderError
from emotion2vec_edge.engine.pipeline import Pipeline
from emotion2vec_edge.engine.runtime.batched import BatchedModel


@pytest.fixture(params=["one after the other", "together"])
def either(request, recognizer):
    """The embedded model as on the CPU, and as on a GPU."""
    if request.param == "one after the other":
        return recognizer
    model = recognizer.encoder
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    return dataclasses.replace(recognizer, encoder=BatchedModel(**fields))


@pytest.fixture
def clips(rng):
    """Eight recordings of different lengths."""
    return [rng.standard_normal(8_000 + 500 * i).astype(np.float32) / 10 for i in range(8)]


@pytest.fixture
def open_recordings(monkeypatch):
    """The recordings that are open now."""
    kept = set()
    opened, closed = Recording.__init__, Recording.close

    def init(self, *args, **options):
        opened(self, *args, **options)
        kept.add(self)

    def close(self):
        kept.discard(self)
        closed(self)

    monkeypatch.setattr(Recording, "__init__", init)
    monkeypatch.setattr(Recording, "close", close)
    return kept


def test_results_are_those_of_each_alone(either, clips, open_recordings):
    encodings = list(either.encode_many(clips, 16_000, frames=True))
    assert len(encodings) == len(clips)
    for clip, encoding in zip(clips, encodings, strict=True):
        alone = either.encode(clip, 16_000, frames=True)
        assert encoding.seconds == alone.seconds
        np.testing.assert_allclose(encoding.frames, alone.frames, atol=5e-5)
        np.testing.assert_allclose(encoding.logits, alone.logits, atol=5e-5)
    assert not open_recordings


def test_the_processor_gives_bit_for_bit_what_encode_gives(recognizer):
    paths = example_recordings()
    for path, encoding in zip(paths, recognizer.encode_many(paths), strict=True):
        np.testing.assert_array_equal(encoding.logits, recognizer.encode(path).logits)


def test_options_are_those_of_encode(either, clips):
    stereo = [np.stack([clip, np.zeros_like(clip)], axis=1) for clip in clips]
    encodings = either.encode_many(
        stereo, 8_000, channel=0, max_seconds=0.5, cut=True, batch_size=3
    )
    for clip, encoding in zip(clips, encodings, strict=True):
        alone = either.encode(clip, 8_000, max_seconds=0.5, cut=True)
        assert encoding.seconds == 0.5
        np.testing.assert_allclose(encoding.logits, alone.logits, atol=5e-5)


def test_an_error_ends_it(either, clips, open_recordings):
    encodings = either.encode_many([*clips[:2], "gone.wav", *clips], 16_000)
    assert next(encodings).seconds == 0.5
    next(encodings)
    with pytest.raises(AudioNotFoundError, match=r"gone\.wav"):
        next(encodings)
    with pytest.raises(StopIteration):
        next(encodings)
    assert not open_recordings


def test_errors_stand_where_their_results_would(either, clips, open_recordings):
    sources = [clips[0], "gone.wav", clips[1], np.zeros(10, np.float32), clips[2], "none.wav"]
    results = list(either.encode_many(sources, 16_000, errors="return"))
    assert [isinstance(result, AudioError) for result in results] == [
        False, True, False, True, False, True,
    ]  # fmt: skip
    assert "none.wav" in str(results[-1])
    assert results[4].seconds == len(clips[2]) / 16_000
    assert not open_recordings


def test_a_fault_of_ours_stands_there_too(either, clips, monkeypatch):
    encode = Pipeline.encode

    def faulty(self, recordings, **options):
        if any(recording.meter.count == len(clips[2]) for recording in recordings):
            raise ZeroDivisionError("division by zero")
        return encode(self, recordings, **options)

    monkeypatch.setattr(Pipeline, "encode", faulty)
    results = list(either.encode_many(clips, 16_000, errors="return"))
    assert [i for i, result in enumerate(results) if isinstance(result, E2VError)] == [2]
    assert str(results[2]) == "internal error: division by zero"
    assert isinstance(results[2].__cause__, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        list(either.encode_many(clips, 16_000))


def test_what_fails_together_is_tried_alone(either, clips, monkeypatch, open_recordings):
    encode, sizes = Pipeline.encode, []

    def small(self, recordings, **options):
        sizes.append(len(recordings))
        if len(recordings) > 1:
            raise ProviderError("out of memory")
        return encode(self, recordings, **options)

    monkeypatch.setattr(Pipeline, "encode", small)
    encodings = list(either.encode_many(clips, 16_000, batch_size=4))
    assert [encoding.seconds for encoding in encodings] == [len(clip) / 16_000 for clip in clips]
    assert sizes.count(1) == len(clips)
    assert not open_recordings


def test_recordings_go_together(clips, recognizer, monkeypatch):
    model = recognizer.encoder
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    on_gpu = dataclasses.replace(recognizer, encoder=BatchedModel(**fields))
    encode, sizes = Pipeline.encode, []

    def spied(self, recordings, **options):
        sizes.append(len(recordings))
        return encode(self, recordings, **options)

    monkeypatch.setattr(Pipeline, "encode", spied)
    assert len(list(on_gpu.encode_many(clips * 4, 16_000))) == 32
    assert max(sizes) == 16
    sizes.clear()
    assert len(list(on_gpu.encode_many(clips, 16_000, batch_size=4))) == 8
    assert max(sizes) == 4
    sizes.clear()
    assert len(list(recognizer.encode_many(clips, 16_000, batch_size=4))) == 8
    assert sizes == [1] * 8


def test_endless_sources_that_come_one_a_result(either, clips):
    waiting = queue.SimpleQueue()

    def sources():
        while (clip := waiting.get()) is not None:
            yield clip

    results = either.encode_many(sources(), 16_000)
    for clip in clips[:4]:
        waiting.put(clip)
        assert next(results).seconds == len(clip) / 16_000
    waiting.put(None)
    assert list(results) == []


def test_only_a_few_are_pulled_ahead(recognizer, clips):
    pulled = []

    def endless():
        for clip in itertools.cycle(clips):
            pulled.append(clip)
            yield clip

    results = recognizer.encode_many(endless(), 16_000)
    assert pulled == []  # nothing is read before the first result is asked for
    for count in range(1, 6):
        next(results)
        assert len(pulled) <= count + AHEAD
    results.close()


@pytest.mark.parametrize("way", ["close", "exception", "forgotten"])
def test_ending_early_closes_everything(either, clips, open_recordings, way):
    results = either.encode_many(itertools.cycle(clips), 16_000)
    if way == "exception":
        with pytest.raises(LookupError):  # noqa: PT012
            for _ in results:
                raise LookupError
        del results
    else:
        next(results)
        if way == "close":
            results.close()
        else:
            del results
    gc.collect()
    assert not open_recordings


def test_a_long_pipe_is_never_read_twice(recognizer, example_samples, tmp_path, monkeypatch):
    """What was encoded of it together with others could not be encoded again alone."""
    import threading

    from recordings import encoded

    from emotion2vec_edge.engine.audio import normalized, sources

    monkeypatch.setattr(sources, "PIPE_BYTES", 100_000)
    monkeypatch.setattr(normalized, "HELD_SECONDS", 10.0)
    samples = np.resize(example_samples, 20 * 16_000)
    os.mkfifo(tmp_path / "pipe")
    content = encoded(samples, 16_000, "WAV", subtype="PCM_16")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    model = recognizer.encoder
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    on_gpu = dataclasses.replace(recognizer, encoder=BatchedModel(**fields))
    encode = Pipeline.encode

    def small(self, recordings, **options):
        if len(recordings) > 1:
            for recording in recordings:
                list(recording.blocks())
            raise ProviderError("out of memory")
        return encode(self, recordings, **options)

    monkeypatch.setattr(Pipeline, "encode", small)
    paths = [example_recordings()[0], tmp_path / "pipe", example_recordings()[0]]
    seconds = [encoding.seconds for encoding in on_gpu.encode_many(paths)]
    writer.join()
    assert seconds == [5.3, 20.0, 5.3]


def test_arguments_that_cannot_be(recognizer, example):
    with pytest.raises(OptionError, match="one recording"):
        recognizer.encode_many(str(example))
    with pytest.raises(OptionError, match="one recording"):
        recognizer.encode_many(example)
    with pytest.raises(OptionError, match="errors is 'ignore'; give raise or return"):
        recognizer.encode_many([], errors="ignore")
    with pytest.raises(OptionError, match="batch_size is 0"):
        recognizer.encode_many([], batch_size=0)
    assert list(recognizer.encode_many([])) == []


def test_a_recording_that_fails_is_closed(recognizer, open_recordings, monkeypatch):
    def broken(self, *args, **options):
        raise AudioError("broken")

    monkeypatch.setattr(NormalizedRecording, "__init__", broken)
    with pytest.raises(AudioError, match="broken"):
        recognizer.encode(example_recordings()[0])
    assert not open_recordings

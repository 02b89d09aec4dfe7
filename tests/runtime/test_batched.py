"""Batches in length buckets: what a GPU runs, here with buffers in the computer's own memory."""

import dataclasses
import json
import threading

import numpy as np
import pytest

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.audio.normalized import normalized
from emotion2vec_edge.engine.batch.inputs.input_file import InputFile
from emotion2vec_edge.engine.batch.rows import FailureRow, ResultRow
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import ProviderError
from emotion2vec_edge.engine.runtime import batched as batched_room
from emotion2vec_edge.engine.runtime.batched import BatchedModel
from emotion2vec_edge.engine.runtime.chunking import BUCKETS, Chunking, bucket

pytestmark = pytest.mark.slow  # half a minute of audio in many shapes


def on_device(plain, **changes):
    fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
    return BatchedModel(**{**fields, **changes})


@pytest.fixture
def batched(recognizer):
    """The embedded model, fp32, as it would be on a GPU."""
    return dataclasses.replace(recognizer, encoder=on_device(recognizer.encoder))


@pytest.fixture(scope="module")
def speech():
    return np.concatenate([load_audio(path).samples for path in example_recordings()])


def heard(samples):
    mean, variance = samples.mean(dtype=np.float64), samples.var(dtype=np.float64)
    return [normalized(samples, float(mean), float(variance))]


def together(encoder, clips):
    """Frames and logits of each clip."""
    parts = [([], []) for _ in clips]
    for number, frames, logits in encoder.pieces_of([heard(clip) for clip in clips]):
        parts[number][0].append(frames)
        parts[number][1].append(logits)
    return [tuple(map(np.concatenate, part)) for part in parts]


def test_a_batch_equals_its_members_alone(recognizer, batched, speech):
    """Odd lengths, the shortest there is, one of several chunks, and one that ends with a second."""
    lengths = [84_800, 400, 401, 20_000, 16_080, 16_079, 719, 16_000 * 15]
    clips = [speech[1_000 * i :][:length] for i, length in enumerate(lengths)]
    clips.insert(3, np.tile(speech, 5)[: 53 * 16_000])
    for clip, (frames, logits) in zip(clips, together(batched.encoder, clips), strict=True):
        alone = recognizer.encoder.encode(clip)
        assert frames.shape == alone[0].shape
        np.testing.assert_allclose(frames, alone[0], atol=5e-5)
        np.testing.assert_allclose(logits, alone[1], atol=5e-5)


@pytest.mark.parametrize("chunking", [Chunking(5.0, 1.0), Chunking(1.0, 0.0), Chunking(45.0, 4.0)])
def test_chunks_are_cut_as_on_the_processor(recognizer, speech, chunking):
    alone = dataclasses.replace(recognizer.encoder, chunking=chunking)
    clip = np.tile(speech, 7)[: 97 * 16_000 + 123]
    (frames, _), *_ = together(on_device(alone), [clip, clip[:16_000]])
    np.testing.assert_allclose(frames, alone.encode(clip)[0], atol=5e-5)


class Counting:
    """A session that counts its runs and what they are given."""

    def __init__(self, session):
        self.session = session
        self.runs = []

    def __getattr__(self, name):
        return getattr(self.session, name)

    def run_with_iobinding(self, binding, options):
        self.runs.append(options)
        self.session.run_with_iobinding(binding, options)


def test_clips_go_together_and_shapes_come_again(recognizer, speech):
    frontend, counting = Counting(recognizer.encoder.frontend), Counting(recognizer.encoder.encoder)
    encoder = on_device(recognizer.encoder, frontend=frontend, encoder=counting)
    clips = [speech[: 16_000 * 3 - 100 * i] for i in range(70)]
    together(encoder, clips)
    assert len(counting.runs) == len(frontend.runs) == 3  # 40 of 3 s fit, so 32, 32 and 6
    assert list(encoder._kept) == [(32, 3), (8, 3)]
    kept = encoder._kept[32, 3]
    together(encoder, clips[:32])
    assert encoder._kept[32, 3] is kept


def test_features_stay_where_they_are(recognizer, speech):
    """The encoder reads the memory that the front-end wrote; nothing is copied between them."""
    encoder = on_device(recognizer.encoder)
    (first, _) = encoder.run_batch(heard(speech[:32_000]) + heard(speech[:20_000]))
    buffers = encoder._kept[2, 2]
    buffers.features.update_inplace(np.zeros(buffers.features.shape(), np.float32))
    encoder.encoder.run_with_iobinding(buffers.bindings[1])
    silenced = buffers.outputs[0].numpy()[0, : len(first[0])]
    assert np.abs(silenced - first[0]).max() > 0.1


def test_memory_of_shapes_is_bounded(recognizer, speech, monkeypatch):
    monkeypatch.setattr(batched_room, "KEPT_SHAPES", 2)
    encoder = on_device(recognizer.encoder)
    for seconds in (1, 2, 3, 1, 4):
        encoder.encode(speech[: seconds * 16_000])
    assert list(encoder._kept) == [(1, 1), (1, 4)]
    # … but for recorded graphs, which go on writing where they wrote.
    recording = on_device(recognizer.encoder, records=True)
    for seconds in (1, 2, 3):
        recording.encode(speech[: seconds * 16_000])
    assert len(recording._kept) == 3


def test_what_is_long_takes_smaller_batches(recognizer, speech):
    counting = Counting(recognizer.encoder.encoder)
    encoder = on_device(recognizer.encoder, encoder=counting, most=4)
    clips = [speech[:16_000]] * 6 + [np.tile(speech, 3)[: 30 * 16_000]] * 2
    together(encoder, clips)
    assert [len(counting.runs), *encoder._kept] == [2, (4, 1), (4, 30)]


def test_the_longest_chunk_fits_the_longest_bucket(recognizer, speech):
    encoder = on_device(recognizer.encoder, most=4)
    ((_, *_),) = together(encoder, [np.tile(speech, 5)[: 16_000 * 70]])
    assert list(encoder._kept) == [(4, 30)]


def test_buckets_rise_and_cover():
    assert list(BUCKETS) == sorted(BUCKETS)
    assert [bucket(seconds) for seconds in (1, 5, 29, 30, 31, 45)] == [1, 6, 30, 30, 40, 50]


def test_recorded_graphs_are_told_apart_by_shape(recognizer, speech):
    frontend = Counting(recognizer.encoder.frontend)
    encoder = on_device(recognizer.encoder, frontend=frontend, records=True)
    for seconds in (1, 2, 1):
        encoder.encode(speech[: seconds * 16_000])
    ids = [options.get_run_config_entry("gpu_graph_id") for options in frontend.runs]
    assert ids[0] == ids[2] != ids[1]


def test_threads_share_the_buffers(batched, speech):
    clips = [speech[10 * i : 16_000 * (1 + i % 3)] for i in range(12)]
    expected = [batched.encoder.encode(clip)[0] for clip in clips]
    right = []

    def work(number):
        right.extend(
            np.array_equal(batched.encoder.encode(clips[number])[0], expected[number])
            for _ in range(5)
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 60


def test_what_fails_inside_is_our_error(recognizer, speech):
    class Broken(Counting):
        def run_with_iobinding(self, binding, options):
            raise RuntimeError("CUDA failure 2: out of memory\nmore")

    encoder = on_device(recognizer.encoder, encoder=Broken(recognizer.encoder.encoder))
    with pytest.raises(ProviderError, match=r"\[1, 2, 16080\]: CUDA failure 2.*--chunk-seconds"):
        encoder.encode(speech[:32_000])


def test_warming_up_meets_every_bucket(batched):
    times = batched.warm_up()
    assert [seconds for seconds, _, _ in times] == list(BUCKETS)
    assert all(first > 0 and then > 0 for _, first, then in times)


def test_several_recordings_are_encoded_as_each_alone(recognizer, batched):
    paths = example_recordings()
    for path, encoding in zip(paths, batched.encode_many(paths, frames=True), strict=True):
        alone = recognizer.encode(path, frames=True)
        assert encoding.seconds == alone.seconds
        np.testing.assert_allclose(encoding.frames, alone.frames, atol=5e-5)
        np.testing.assert_allclose(encoding.embedding(), alone.embedding(), atol=5e-5)
        assert encoding.utterance().scores == pytest.approx(alone.utterance().scores, abs=1e-4)
        assert encoding.timings.encode > 0


def test_a_batch_of_files_with_damaged_ones_between(recognizer, batched, tmp_path):
    """One that cannot be read takes none of those with it that were to go along."""
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes(b"RIFF nothing")
    paths = [*example_recordings(), damaged, *example_recordings(), tmp_path / "gone.wav"]
    items = [InputFile(str(path), f"place{i}") for i, path in enumerate(paths)]
    worker = Worker(batched, tmp_path / "out", BatchSettings(), "run", batch_size=4)
    (tmp_path / "out" / ".work").mkdir(parents=True)
    outcomes = list(worker.work(items))
    assert [outcome.item.path for outcome in outcomes] == [str(path) for path in paths]
    assert [isinstance(outcome.row, FailureRow) for outcome in outcomes] == [False] * 3 + [True] + [
        False
    ] * 3 + [True]
    alone = recognizer.recognize(paths[0])
    assert outcomes[0].row.report["scores"] == pytest.approx(alone.scores, abs=1e-4)
    written = json.loads((tmp_path / "out" / "results" / "place4.json").read_text())
    assert written["emotion"] == recognizer.recognize(paths[4]).emotion


def test_what_fails_together_is_tried_alone(batched, tmp_path, monkeypatch):
    """A batch that does not fit the memory is no reason to give up its recordings."""
    run_batch = BatchedModel.run_batch

    def small(self, waveforms):
        if len(waveforms) > 1:
            raise ProviderError("out of memory")
        return run_batch(self, waveforms)

    monkeypatch.setattr(BatchedModel, "run_batch", small)
    items = [InputFile(str(p), f"place{i}") for i, p in enumerate(example_recordings())]
    (tmp_path / ".work").mkdir()
    worker = Worker(batched, tmp_path, BatchSettings(), "run", batch_size=8)
    assert [isinstance(o.row, ResultRow) for o in worker.work(items)] == [True] * 3

"""The interface of models: a fallback for long audio, and values that are no numbers."""

import dataclasses

import numpy as np
import pytest

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.audio.normalized import normalized
from emotion2vec_edge.engine.bundle.head import Head
from emotion2vec_edge.engine.errors import NonFiniteError
from emotion2vec_edge.engine.runtime.batched import BatchedModel
from emotion2vec_edge.engine.runtime.chunking import Chunking
from emotion2vec_edge.engine.runtime.model import FallbackModel, Model


@pytest.fixture(scope="module")
def speech():
    return np.concatenate([load_audio(path).samples for path in example_recordings()])


class Counting(Model):
    """A model that notes the number of clips that it is given."""

    def __init__(self, model):
        self.model = model
        self.audio, self.chunking, self.head = model.audio, model.chunking, model.head
        self.clips = []

    def pieces_of(self, clips):
        self.clips.append(len(clips))
        return self.model.pieces_of(clips)

    def end_profiling(self):
        return ["profile"]

    def lengths(self):
        return (1, 2)


@pytest.fixture
def fallback(recognizer):
    model = dataclasses.replace(recognizer.encoder, chunking=Chunking(60.0))
    return FallbackModel(Counting(model), Counting(model), 30, "encoded on CUDA")


def heard(samples, size=40_000):
    mean, variance = samples.mean(dtype=np.float64), samples.var(dtype=np.float64)
    clip = normalized(samples, float(mean), float(variance))
    return [clip[start : start + size] for start in range(0, len(clip), size)]


@pytest.mark.slow
def test_long_clips_go_elsewhere_and_all_come_back_under_their_numbers(
    recognizer, fallback, speech
):
    long = np.tile(speech, 5)
    clips = [long[: 16_000 * seconds] for seconds in (3, 40, 30, 70, 1)]
    clips.append(long[: 16_000 * 30 + 1])
    parts = [[] for _ in clips]
    for number, _, logits in fallback.pieces_of([iter(heard(clip)) for clip in clips]):
        parts[number].append(logits)
    assert (fallback.primary.clips, fallback.beyond.clips) == ([3], [3])
    alone = dataclasses.replace(recognizer.encoder, chunking=Chunking(60.0))
    for clip, part in zip(clips, parts, strict=True):
        np.testing.assert_allclose(np.concatenate(part), alone.encode(clip)[1], atol=5e-5)


def test_the_warning_is_of_the_clips_that_went_elsewhere(recognizer, fallback, speech):
    model = dataclasses.replace(recognizer, encoder=fallback)
    long = model.encode(np.tile(speech, 3)[: 16_000 * 40], 16_000)
    assert [warning.code for warning in long.warnings] == ["long", "provider"]
    assert "CUDA" in long.warnings[1].message
    assert not model.encode(speech[: 16_000 * 10], 16_000).warnings
    assert (fallback.primary.clips[-1], fallback.beyond.clips[0]) == (1, 1)
    assert fallback.lengths() == (1, 2)
    assert fallback.end_profiling() == ["profile"]


def other_head(recognizer, value):
    weight = np.zeros((len(recognizer.labels), recognizer.bundle.manifest.architecture.embed_dim))
    return Head((weight + value).astype(np.float32), np.zeros(len(weight), np.float32))


BROKEN = {
    "weights of 3e38": lambda recognizer: other_head(recognizer, 3e38),
    "weights of NaN": lambda recognizer: other_head(recognizer, np.nan),
    "a temperature of 1e-45": lambda _: Head(temperature=1e-45),
    "a temperature of 1e-39": lambda _: Head(temperature=1e-39),
}


@pytest.mark.parametrize("kind", ["sequential", "batched"])
@pytest.mark.parametrize("head", BROKEN.values(), ids=BROKEN)
def test_logits_that_are_no_numbers_are_refused(recognizer, speech, head, kind):
    model = dataclasses.replace(recognizer.encoder, head=head(recognizer))
    if kind == "batched":
        model = BatchedModel(model.frontend, model.encoder, model.audio, model.chunking, model.head)
    broken = dataclasses.replace(recognizer, encoder=model)
    with pytest.raises(NonFiniteError, match="NaN or infinite logits.*--precision fp32"):
        broken.recognize(speech[:32_000], 16_000)
    with pytest.raises(NonFiniteError, match="logits"), broken.stream() as stream:
        stream.push(speech[:64_000])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_embeddings_that_are_no_numbers_are_refused(recognizer, speech, value):
    class Damaged:
        def run(self, _, feeds):
            outputs = recognizer.encoder.encoder.run(None, feeds)
            outputs[0][0, 3, 5] = value
            return outputs

    model = dataclasses.replace(recognizer.encoder, encoder=Damaged())
    with pytest.raises(NonFiniteError, match="embeddings"):
        dataclasses.replace(recognizer, encoder=model).encode(speech[:32_000], 16_000)

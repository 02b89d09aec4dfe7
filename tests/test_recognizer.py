"""The engine as its users call it, on real speech."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine import Recognizer, encoder, example_recordings, load_audio
from emotion2vec_edge.engine.encoder import Encoder
from emotion2vec_edge.engine.errors import NoHeadError


class CountingSession:
    """A session that counts its runs."""

    def __init__(self, session):
        self.session = session
        self.runs = 0

    def run(self, *args):
        self.runs += 1
        return self.session.run(*args)


def test_an_utterance(recognizer, example):
    utterance = recognizer.recognize(example)
    assert utterance.emotion in recognizer.labels
    assert utterance.confidence == max(utterance.scores.values())
    assert sum(utterance.scores.values()) == pytest.approx(1, abs=1e-5)
    assert list(utterance.scores) == list(recognizer.labels)
    assert utterance.embedding.shape == (256,)
    assert utterance.seconds == pytest.approx(5.3)
    assert (utterance.model, utterance.provider) == ("emotion2vec_small", "cpu")
    assert utterance.timings.encode > 0


def test_one_encoder_pass_gives_everything(recognizer, example):
    counting = CountingSession(recognizer.encoder.encoder)
    spied = Recognizer(
        recognizer.bundle, "fp32", "cpu", (), 2,
        Encoder(recognizer.encoder.frontend, counting, recognizer.encoder.audio),
    )  # fmt: skip
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


def test_front_end_blocks_change_nothing(recognizer, example_samples, monkeypatch):
    blocks = recognizer.encoder.encode(example_samples)
    monkeypatch.setattr(encoder, "BLOCK_SECONDS", 1e6)
    whole = recognizer.encoder.encode(example_samples)
    assert np.abs(blocks[0] - whole[0]).max() <= 1e-4
    assert np.abs(blocks[1] - whole[1]).max() <= 1e-4


@pytest.mark.parametrize("length", [400, 401, 719, 720, 16_000, 16_079, 16_080, 19_744])
def test_odd_lengths_give_the_frames_they_should(recognizer, example_samples, length):
    frames, logits = recognizer.encoder.encode(example_samples[:length])
    assert len(frames) == len(logits) == (length - 400) // 320 + 1


def test_chunks_cover_every_frame_once():
    for frames in (1, 1_500, 1_501, 2_999, 10_000, 180_000):
        kept = []
        for chunk, keep in encoder._chunks(frames, 1_500, 100):
            assert chunk.stop - chunk.start <= 1_500
            kept += range(chunk.start + keep.start, chunk.start + keep.stop)
            assert keep.stop <= chunk.stop - chunk.start
        assert kept == list(range(frames))


def test_long_audio_is_encoded_in_chunks_near_to_one_pass(recognizer, monkeypatch):
    joined = np.concatenate([load_audio(path).samples for path in example_recordings()] * 4)
    assert len(joined) > 60 * 16_000
    chunked = recognizer.encode(joined, 16_000)
    assert len(chunked.frames) == (len(joined) - 400) // 320 + 1
    monkeypatch.setattr(encoder, "CHUNK_SECONDS", 1e6)
    whole = recognizer.encode(joined, 16_000)
    assert chunked.utterance().emotion == whole.utterance().emotion
    assert chunked.utterance().scores == pytest.approx(whole.utterance().scores, abs=0.05)
    assert {warning.code for warning in chunked.warnings} == {"long"}


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
    assert quiet == pytest.approx(loud, abs=0.01)


@pytest.mark.parametrize("samples", [np.zeros(16_000, np.float32), np.ones(16_000, np.float32)])
def test_silence_and_a_constant_are_recognized_with_a_warning(recognizer, samples):
    utterance = recognizer.recognize(samples, 16_000)
    assert np.isfinite(list(utterance.scores.values())).all()
    assert utterance.warnings


def test_a_model_without_a_head_gives_embeddings_only(recognizer, example):
    import dataclasses

    encoding = dataclasses.replace(recognizer.encode(example), logits=None, labels=())
    assert encoding.embedding().shape == (256,)
    for answer in (encoding.utterance, encoding.timeline):
        with pytest.raises(NoHeadError, match="embeddings only"):
            answer()


def test_repr_explains_the_model(recognizer):
    text = repr(recognizer)
    for fact in ("emotion2vec_small", "fp32", "MiB", "cpu", "angry", "16000 Hz"):
        assert fact in text


# Warnings about the recording.


def codes(recognizer, samples):
    return {warning.code for warning in recognizer.encode(samples, 16_000).warnings}


def test_clean_speech_has_no_warning(recognizer):
    for path in example_recordings():
        assert recognizer.recognize(path).warnings == ()


def test_short(recognizer, example_samples):
    assert "short" in codes(recognizer, example_samples[:15_000])


def test_near_silence(recognizer, rng):
    assert codes(recognizer, (1e-4 * rng.normal(size=32_000)).astype(np.float32)) == {"silent"}


def test_clipping(recognizer, example_samples):
    assert "clipped" in codes(recognizer, np.clip(20 * example_samples, -1, 1))
    lone_peak = example_samples.copy()
    lone_peak[5_000] = 1.0
    assert "clipped" not in codes(recognizer, lone_peak)


@pytest.mark.parametrize(("snr", "noisy"), [(5, True), (10, True), (15, True), (35, False)])
def test_noise(recognizer, example_samples, rng, snr, noisy):
    noise = rng.normal(size=len(example_samples))
    noise *= np.sqrt(np.mean(example_samples**2) / 10 ** (snr / 10))
    assert ("noisy" in codes(recognizer, (example_samples + noise).astype(np.float32))) == noisy


def test_a_tone_is_no_clipping(recognizer):
    assert "clipped" not in codes(recognizer, tone(2.0, amplitude=0.9))

"""Models of the real sizes with random weights."""

import pytest

from emotion2vec_edge.benchmarks import models, random_models
from emotion2vec_edge.engine import Recognizer, example_recordings
from emotion2vec_edge.export.checkpoint.config import read_config
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint


@pytest.mark.slow
def test_a_random_model_in_a_real_shape(e2v_bench, tmp_path, monkeypatch):
    for shape, parameters in {"base": 93.2e6, "plus_large": 162.1e6}.items():
        config = read_config(random_models.shape_config(shape))
        weights = sum(w.numel() for w in _meta_weights(config))
        assert weights == pytest.approx(parameters, rel=0.005)
    monkeypatch.setitem(random_models.SHAPES, "plus_large", (64, 4))
    e2v_bench("random-model", "-o", tmp_path / "b", "--checkpoint", tmp_path / "c", "--no-int8")
    recognizer = Recognizer.load(tmp_path / "b")
    assert "RANDOM weights" in models.model_line(recognizer)
    assert len(load_checkpoint(tmp_path / "c").labels) == 9
    assert recognizer.recognize(example_recordings()[0]).confidence > 0


def test_funasr_takes_a_random_model_in_a_real_shape(funasr_model, monkeypatch):
    monkeypatch.setitem(random_models.SHAPES, "plus_large", (64, 4))
    model = funasr_model(**random_models.shape_config("plus_large"), vocab_size=9)
    ours = random_models.random_weights(read_config(random_models.shape_config("plus_large")), 9)
    assert not model.load_state_dict(ours).unexpected_keys


def _meta_weights(config):
    import torch

    from emotion2vec_edge.export.model.emotion2vec import Emotion2vec

    with torch.device("meta"):
        return list(Emotion2vec(config, 9).state_dict().values())

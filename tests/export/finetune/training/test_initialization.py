"""New models: shapes and first weights."""

import numpy as np
import pytest
import torch
from oracle import funasr_answer, oracle

from emotion2vec_edge.engine.errors import CheckpointError, OptionError
from emotion2vec_edge.export.checkpoint.folder import write_checkpoint
from emotion2vec_edge.export.checkpoint.labels import PLUS_TOKENS
from emotion2vec_edge.export.finetune.training.initialization import (
    SHAPES,
    gabor_filters,
    new_document,
    new_model,
)


def test_a_new_model_hears_frequencies_before_it_has_learned():
    filters = gabor_filters(384, 240)[:, 0]
    torch.testing.assert_close(filters.norm(dim=1), torch.ones(384))
    spectrum = torch.fft.rfft(filters, 4096).abs()
    peaks = spectrum.argmax(dim=1) * 16_000 / 4096
    assert (peaks[4:].diff() > -40).all()  # the filters rise
    assert peaks[0] < 150
    assert peaks[-1] > 7_000


def test_shapes_that_are_none(tmp_path):
    with pytest.raises(OptionError, match="no such shape; give tiny, small, medium"):
        new_document("enormous")
    (tmp_path / "c.yaml").write_text("model: Other")
    with pytest.raises(CheckpointError):
        new_document(str(tmp_path / "c.yaml"))
    for name in SHAPES:
        assert new_model(new_document(name), 9, 0).config.receptive_field == 400


def test_the_default_shape_runs_in_funasr(funasr_model, tmp_path):
    document = new_document("small")
    model = new_model(document, 9, 0).eval()
    write_checkpoint(tmp_path, document, model, PLUS_TOKENS)
    weights = torch.load(tmp_path / "model.pt", weights_only=True)["model"]
    theirs = oracle(funasr_model, document, weights, PLUS_TOKENS)
    samples = np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    expected = funasr_answer(theirs, samples, PLUS_TOKENS)["scores"]
    with torch.no_grad():
        *_, found = model(torch.from_numpy(samples)[None], torch.tensor([24_000]))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)

"""The baselines: their temperature, device and requirements."""

import sys

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.baselines import registry
from emotion2vec_edge.benchmarks.baselines.settings import BaselineSettings
from emotion2vec_edge.engine.errors import MissingExtraError, ProviderError


def test_baselines_are_compared_at_the_temperature_of_the_bundle(monkeypatch, tmp_path):
    raw = np.array([0.7, 0.2, 0.1])
    fake = registry.Baseline(lambda _settings: lambda _samples: raw, "", "")
    monkeypatch.setitem(registry.BASELINES, "torch", fake)
    settings = BaselineSettings(tmp_path, 1, tmp_path, temperature=2.0)
    tempered = registry.build_baseline("torch", settings)(np.zeros(1, np.float32))
    logits = np.log(raw) / 2
    np.testing.assert_allclose(tempered, np.exp(logits) / np.exp(logits).sum())


@pytest.mark.slow
def test_a_gpu_that_torch_does_not_find(small_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.nn.Module.to", lambda module, *_: module)
    settings = BaselineSettings(small_checkpoint, 1, tmp_path, "cuda")
    with pytest.raises(ProviderError, match="finds no GPU"):
        registry.build_baseline("torch-sdpa", settings)


def test_a_baseline_that_is_not_installed(small_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    settings = BaselineSettings(small_checkpoint, 1, tmp_path)
    with pytest.raises(MissingExtraError, match="pip install openvino nncf"):
        registry.build_baseline("openvino", settings)

"""Fixtures of the distillation: a tiny Whisper, and a distillation of a few steps."""

import pytest
import torch
from whispers import write_whisper

from emotion2vec_edge.export.distill import distillation
from emotion2vec_edge.export.distill.teachers.whisper import load_whisper

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    """Two threads would wait for one another where tests run side by side."""
    monkeypatch.setattr(distillation, "usable_threads", lambda: 1)


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory):
    return write_whisper(tmp_path_factory.mktemp("teachers") / "whisper")


@pytest.fixture(scope="session")
def whisper(whisper_folder):
    return load_whisper(whisper_folder, "whisper-tiny", None, CPU)


@pytest.fixture
def clips(rng):
    """Three clips of noise, int16 [samples]."""
    return [(rng.standard_normal(size) * 3000).astype("int16") for size in (9_000, 16_000, 12_345)]

"""Senses that hear the truth with errors of their own."""

import json

import numpy as np
import pytest

from emotion2vec_edge.engine.fusion.alignment import align
from emotion2vec_edge.engine.fusion.modality import ScoredSpan

LABELS = ("angry", "happy", "sad")


def sense_of(name, truth, strength, rng, missing=0.0):
    """Spans whose scores lean towards the truth as much as the strength says, calibrated."""
    spans = []
    for number, label in enumerate(truth):
        logits = rng.standard_normal(3) * np.sqrt(strength)
        logits[label] += strength
        scores = np.exp(logits) / np.exp(logits).sum()
        if rng.random() >= missing:
            spans.append(
                ScoredSpan(
                    name, number, number + 1, dict(zip(LABELS, scores.tolist(), strict=True))
                )
            )
    return spans


@pytest.fixture(scope="session")
def truth():
    return np.random.default_rng(0).integers(3, size=3000)


@pytest.fixture(scope="session")
def aligned(truth):
    """Speech, a face that is better and often missing, and noise that means nothing."""
    rng = np.random.default_rng(1)
    noise = sense_of("noise", rng.integers(3, size=len(truth)), 3.0, rng)
    return align({
        "speech": sense_of("speech", truth, 1.0, rng),
        "face": sense_of("face", truth, 2.0, rng, missing=0.4),
        "noise": noise,
    })  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Write a file of JSON lines, and return its path."""

    def written(name, *rows):
        path = tmp_path / name
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return path

    return written

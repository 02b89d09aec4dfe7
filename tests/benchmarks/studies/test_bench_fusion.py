"""The comparison of ways to fuse: simulated senses as assumed, and fused the best of all."""

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.studies import fusion
from emotion2vec_edge.engine.embeddings.clips import StoredClip

LABELS = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised")


def test_a_simulated_sense_errs_as_its_matrix_says(rng):
    truth = np.repeat(np.arange(len(LABELS)), 4000)
    matrix = fusion.FACE.matrix(LABELS)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert matrix[3, 3] == pytest.approx(0.85)
    assert matrix[2, 7] > 0.25  # fear is mostly taken for surprise
    assert not matrix[:, 5].any()  # it has no "other"
    scores = fusion._simulated(fusion.FACE, truth, LABELS, rng)
    assert not scores[:, 5].any()
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_fused_is_better_than_each_sense_however_much_is_missing(rng):
    truth = rng.integers(len(LABELS), size=1500)
    logits = rng.standard_normal((1500, len(LABELS)))
    logits[np.arange(1500), truth] += 1
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    heard = [
        StoredClip("x", speaker=str(n % 10), scores=dict(zip(LABELS, row.tolist(), strict=True)))
        for n, row in enumerate(scores)
    ]
    rows = fusion._compared(heard, truth, LABELS).rows
    for missing in fusion.MISSING:
        ua = {row[1]: row[3] for row in rows if row[0] == missing}
        assert ua["fused"] > max(ua["speech"], ua["face"], ua["text"])
        ece = {row[1]: row[4] for row in rows if row[0] == missing}
        assert ece["fused"] < 0.06

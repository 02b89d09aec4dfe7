"""A variant beside fp32: what is compared, and what is near enough."""

import numpy as np
import pytest

from emotion2vec_edge.quantize.calibration import Clip
from emotion2vec_edge.quantize.gate import Answers, Comparison, Limits, compare


def test_a_comparison_of_a_known_case():
    fp32 = Answers(np.eye(2, 4, dtype=np.float32), np.array([[0.9, 0.1], [0.6, 0.4]], np.float32))
    ours = Answers(np.eye(2, 4, dtype=np.float32), np.array([[0.8, 0.2], [0.4, 0.6]], np.float32))
    clips = [Clip(np.zeros(400, np.float32), label) for label in ("a", "b")]
    found = compare(ours, fp32, clips, ["a", "b"])
    assert found == Comparison(
        clips=2, cosine=pytest.approx(1), agreement=0.5, mean_shift=pytest.approx(0.15),
        max_shift=pytest.approx(0.2), ua=1.0, ua_fp32=0.5, wa=1.0, wa_fp32=0.5,
    )  # fmt: skip
    assert [f.split(" 0")[0] for f in found.failures(Limits())] == [
        "agreement", "mean probability shift",
    ]  # fmt: skip


def test_nan_fails_every_limit():
    broken = Comparison(
        1, float("nan"), float("nan"), float("nan"), float("nan"), None, None, None, None
    )
    assert len(broken.failures(Limits())) == 4

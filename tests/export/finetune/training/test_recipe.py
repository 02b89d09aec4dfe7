"""The recipe of a training: its learning rate and its arithmetic."""

import pytest
import torch

from emotion2vec_edge.export.finetune.training import recipe


def test_the_learning_rate_rises_and_falls():
    settings = recipe.Recipe(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [settings.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("flags", "faster"),
    [
        ({"amx_bf16", "avx512_bf16"}, True),
        ({"avx2"}, False),
        ({"avx512_bf16"}, True),
        ({"bf16"}, True),
    ],
)
def test_the_arithmetic_is_the_same_at_every_run(monkeypatch, flags, faster):
    """Under load a measurement may come out either way, so only undecided processors need one."""
    measured = {torch.bfloat16: 1.0, torch.float32: 2.0}
    if flags & {"amx_bf16", "avx2"}:
        measured = {}
    monkeypatch.setattr(recipe, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(recipe, "_seconds", measured.__getitem__)
    assert recipe.bfloat16_is_faster() is faster

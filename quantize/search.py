"""The search for layers that must stay in float: the loss of each, then the smallest set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emotion2vec_edge.engine.progress import Progress

from .gate import Comparison


@dataclass(frozen=True)
class Ranked:
    """A layer, and the loss when it alone is quantized."""

    name: str
    loss: float
    """Mean shift of a probability or, without a head, 1 − cosine of the embeddings."""


def rank_layers(
    layers: Sequence[str], quantized_alone: Callable[[str], Comparison], progress: Progress
) -> list[Ranked]:
    """Layers with their losses, worst first.

    Args:
        layers: names of the layers.
        quantized_alone: compares with fp32 the model in which that layer alone is quantized.
        progress: receives each layer.
    """
    ranked = []
    for index, layer in enumerate(layers, start=1):
        comparison = quantized_alone(layer)
        loss = 1 - comparison.cosine if comparison.mean_shift is None else comparison.mean_shift
        ranked.append(Ranked(layer, loss))
        progress(f"loss of {layer} alone: {loss:.5f} ({index} of {len(layers)})")
    return sorted(ranked, key=lambda layer: layer.loss, reverse=True)


def smallest_exclusion(
    ranked: Sequence[str], passes: Callable[[tuple[str, ...]], bool], progress: Progress
) -> tuple[str, ...] | None:
    """The fewest layers, worst first, that must stay in float for the gate to pass.

    Doubling and halving finds their number. Then each of them is tried in INT8 again, the least
    harmful first, so that none stays in float without need.

    Args:
        ranked: layers, worst first.
        passes: tells whether the gate passes with these layers in float.
        progress: receives each trial.

    Returns:
        the layers, or None if even all of them in float do not pass.
    """

    def passes_with(count: int) -> bool:
        progress(f"trying with {count} more layers in float")
        return passes(tuple(ranked[:count]))

    low, high = 0, 1  # low does not pass
    while not passes_with(min(high, len(ranked))):
        if high >= len(ranked):
            return None
        low, high = high, 2 * high
    high = min(high, len(ranked))
    while high - low > 1:
        middle = (low + high) // 2
        if passes_with(middle):
            high = middle
        else:
            low = middle
    kept = list(ranked[:high])
    for layer in reversed(ranked[: high - 1]):  # the last one is needed: low did not pass
        without = tuple(name for name in kept if name != layer)
        if passes(without):
            kept.remove(layer)
            progress(f"{layer} need not stay in float")
    return tuple(kept)

"""Which layers must stay in float: each one's loss, then the smallest set that passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emotion2vec_edge.engine.progress import Progress

from .gate import Comparison


def rank_layers(
    layers: Sequence[str],
    quantized_alone: Callable[[str], Comparison],
    progress: Progress,
) -> list[tuple[str, float]]:
    """Layers with their losses, worst first.

    Args:
        layers: their names.
        quantized_alone: compares the model with that one layer quantized with fp32.
        progress: receives each layer.

    Returns:
        The loss is the mean shift of a probability or, without a head, 1 − cosine.
    """
    losses = []
    for index, layer in enumerate(layers, start=1):
        comparison = quantized_alone(layer)
        loss = 1 - comparison.cosine if comparison.mean_shift is None else comparison.mean_shift
        losses.append((layer, loss))
        progress(f"loss of {layer} alone: {loss:.5f} ({index} of {len(layers)})")
    return sorted(losses, key=lambda item: item[1], reverse=True)


def smallest_exclusion(
    ranked: Sequence[str],
    passes: Callable[[tuple[str, ...]], bool],
    progress: Progress,
) -> tuple[str, ...] | None:
    """The fewest layers, worst first, that must stay in float for the gate to pass.

    The number is found by doubling and halving; then each of them is tried in INT8 again, the least
    harmful first, so that none stays in float without need.

    Returns:
        The layers, or None when even all of them in float do not pass.
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
    for layer in reversed(ranked[: high - 1]):  # the last one was needed: low did not pass
        without = tuple(name for name in kept if name != layer)
        if passes(without):
            kept.remove(layer)
            progress(f"{layer} need not stay in float")
    return tuple(kept)

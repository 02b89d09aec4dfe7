"""Facts of the measured model."""

from __future__ import annotations

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.bundle.manifest import Manifest
from emotion2vec_edge.engine.recognizer import opening_of
from emotion2vec_edge.engine.settings import Precision, ProviderChoice

RANDOM_WEIGHTS = "random weights: nothing to license"
"""Licence text of a bundle that :mod:`.random_models` made."""


def weights_of(manifest: Manifest) -> str:
    """``RANDOM`` if the model's accuracy means nothing, else ``trained``."""
    return "RANDOM" if manifest.source.licence == RANDOM_WEIGHTS else "trained"


def runnable_variants(model: str | None, provider: ProviderChoice = "auto") -> list[Precision]:
    """Precisions that the bundle has and the provider runs, fp32 first."""
    recognizer = Recognizer.load(model, provider=provider)
    variants = recognizer.bundle.manifest.variants
    return [
        name for name in reversed(opening_of(recognizer).provider.precisions) if name in variants
    ]


def model_line(recognizer: Recognizer) -> str:
    """One line of text: name, size, kind of weights, provider and threads."""
    manifest = recognizer.bundle.manifest
    parameters = manifest.architecture.parameters / 1e6
    return (
        f"{manifest.name}: {parameters:.1f} M parameters, {weights_of(manifest)} weights; "
        f"{recognizer.provider}, {recognizer.threads} threads"
    )

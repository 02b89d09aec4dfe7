"""A first run of a model, which shows that its graphs are those that the manifest describes."""

from __future__ import annotations

import numpy as np

from ..bundle.manifest import Manifest
from ..errors import BundleFormatError, E2VError
from .model import Model

FRAMES = 4


def probe(model: Model, manifest: Manifest, name: str) -> None:
    """Run a model over two clips that differ by a sample, and by a frame.

    Args:
        model: the opened model.
        manifest: its description.
        name: its folder and precision, for the message.

    Raises:
        BundleFormatError: frames or logits do not have the sizes of the manifest.
        NonFiniteError: the model gives NaN or infinite values.
        ProviderError: ONNX Runtime failed.
    """
    samples = np.random.default_rng(0).standard_normal(manifest.audio.sample_count(FRAMES))
    waveform = samples.astype(np.float32)
    dim, labels = manifest.architecture.embed_dim, len(manifest.labels)
    for length in (len(waveform), len(waveform) - 1):
        count = manifest.audio.frame_count(length)
        expected = ((count, dim), (count, labels) if labels else None)
        try:
            frames, logits = model.encode(waveform[:length])
        except E2VError:
            raise
        except ValueError as error:  # numpy's, of shapes that do not fit together
            raise BundleFormatError(f"{name}: its graphs and head do not fit: {error}") from None
        found = (frames.shape, None if logits is None else logits.shape)
        if found != expected:
            raise BundleFormatError(
                f"{name}: {length} samples gave frames and logits of {found[0]} and {found[1]}, "
                f"and its manifest describes {expected[0]} and {expected[1]}; export it again"
            )

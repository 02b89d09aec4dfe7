"""The first run of a model, which shows that its graphs are those that the manifest describes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np

from ..bundle.bundle import Bundle
from ..bundle.integrity import remember, remembers
from ..errors import BundleFormatError, E2VError
from ..settings import Precision
from .model import Model

FRAMES = 4
"""Frames of the longer clip."""


def probe_once(model: Model, bundle: Bundle, precision: Precision) -> None:
    """Run a model as :func:`probe` does, unless these files and this description once passed."""
    key = _key(bundle, precision)
    if not remembers(key):
        probe(model, bundle, precision)
        remember(key)


def probe(model: Model, bundle: Bundle, precision: Precision) -> None:
    """Run a model over two clips that differ by one sample, and so by one frame.

    Raises:
        BundleFormatError: frames or logits do not have the sizes of the manifest.
        NonFiniteError: the model gives NaN or infinite values.
        ProviderError: ONNX Runtime failed.
    """
    manifest = bundle.manifest
    name = f"{bundle.folder}: {precision}"
    samples = np.random.default_rng(0).standard_normal(manifest.audio.sample_count(FRAMES))
    waveform = samples.astype(np.float32)
    dim = manifest.architecture.embed_dim
    labels = len(model.head.kept([label.id for label in manifest.labels]))
    for length in (len(waveform), len(waveform) - 1):
        count = manifest.audio.frame_count(length)
        expected = ((count, dim), (count, labels) if labels else None)
        try:
            frames, logits = model.encode(waveform[:length])
        except E2VError:
            raise
        except (ValueError, IndexError) as error:  # numpy's, of shapes that do not fit together
            raise BundleFormatError(f"{name}: its graphs and head do not fit: {error}") from None
        found = (frames.shape, None if logits is None else logits.shape)
        if found != expected:
            raise BundleFormatError(
                f"{name}: {length} samples gave frames and logits of {found[0]} and {found[1]}, "
                f"and its manifest describes {expected[0]} and {expected[1]}; export it again"
            )


def _key(bundle: Bundle, precision: Precision) -> str:
    """Digest of everything that the result of a probe depends on."""
    manifest = bundle.manifest
    described = {
        "files": [file.sha256 for file in bundle.variant(precision).files],
        "head": manifest.head and manifest.head.sha256,
        "audio": asdict(manifest.audio),
        "dim": manifest.architecture.embed_dim,
        "labels": len(manifest.labels),
    }
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()

"""Find a bundle: a path, an embedded name, or the default."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import BundleNotFoundError
from .bundle import Bundle
from .manifest import MANIFEST
from .schema import read_manifest

MODEL_VARIABLE = "E2V_MODEL"
"""Environment variable that names the default model, as a path or an embedded name."""

EMBEDDED = Path(__file__).parents[1] / "models"
DEFAULT_NAME = "emotion2vec_small"


def find_bundle(model: str | os.PathLike[str] | None = None) -> Path:
    """Where a model lies: a bundle's path, an embedded name, or the default.

    The default is ``$E2V_MODEL`` where that is set, else the embedded one.

    Raises:
        BundleNotFoundError: nothing is there; the message says what could be.
    """
    origin = ""
    if model is None:
        model = os.environ.get(MODEL_VARIABLE)
        if not model:  # not by its name: a folder of that name may lie where we are
            return EMBEDDED / DEFAULT_NAME
        origin = f" (from {MODEL_VARIABLE})"
    path = Path(model)
    if path.name == MANIFEST and path.is_file():
        return path.parent
    if (path / MANIFEST).is_file():
        return path
    if str(model) in embedded_names():
        return EMBEDDED / str(model)
    what = f"it has no {MANIFEST}" if path.exists() else "there is no such path"
    raise BundleNotFoundError(
        f"{model}{origin}: not a model bundle, {what}; give the path of a bundle made by "
        f"'e2v export', or one of the embedded models: {', '.join(embedded_names()) or 'none'}"
    )


def embedded_names() -> list[str]:
    """Names of the models inside the package."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{MANIFEST}"))


def open_bundle(model: str | os.PathLike[str] | None = None) -> Bundle:
    """Find a bundle and read its manifest.

    Raises:
        BundleNotFoundError: there is none.
        BundleFormatError: its manifest cannot be used.
    """
    folder = find_bundle(model)
    return Bundle(folder, read_manifest(folder / MANIFEST))

"""The search for a bundle: a path, an embedded name, or the default."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import BundleNotFoundError
from ..files import printable
from .bundle import Bundle
from .manifest import MANIFEST
from .schema import read_manifest

MODEL_VARIABLE = "E2V_MODEL"
"""Environment variable that names the default model, as a path or an embedded name."""

EMBEDDED = Path(__file__).parents[1] / "models"
DEFAULT_NAME = "emotion2vec_small"


def find_bundle(model: str | os.PathLike[str] | None = None) -> Path:
    """Folder of a bundle.

    Args:
        model: path of a bundle or of its manifest, or an embedded name; None takes
            ``$E2V_MODEL``, else the embedded default.

    Raises:
        BundleNotFoundError: there is no bundle; the message names those there are.
    """
    origin = ""
    if model is None:
        model = os.environ.get(MODEL_VARIABLE)
        if not model:  # not by its name: the current folder may hold a folder of that name
            return EMBEDDED / DEFAULT_NAME
        origin = f" (from {MODEL_VARIABLE})"
    path = Path(model)
    try:
        if path.name == MANIFEST and path.is_file():
            return path.parent
        if (path / MANIFEST).is_file():
            return path
        if str(model) in embedded_names():
            return EMBEDDED / str(model)
        reason = f"it has no {MANIFEST}" if path.exists() else "there is no such path"
    except OSError as error:
        reason = str(error.strerror)
    raise BundleNotFoundError(
        f"{printable(str(model))}{origin}: not a model bundle, {reason}; give the path of a bundle "
        "made by 'e2v export', or one of the embedded models: "
        f"{', '.join(embedded_names()) or 'none'}"
    )


def embedded_names() -> list[str]:
    """Names of the models inside the package."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{MANIFEST}"))


def open_bundle(model: str | os.PathLike[str] | None = None) -> Bundle:
    """Find a bundle and read its manifest.

    Args:
        model: path of a bundle or of its manifest, or an embedded name; None takes
            ``$E2V_MODEL``, else the embedded default.

    Raises:
        BundleNotFoundError: there is none.
        BundleFormatError: its manifest cannot be used.
    """
    folder = find_bundle(model)
    return Bundle(folder, read_manifest(folder / MANIFEST))

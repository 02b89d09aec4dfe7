"""The search for a bundle: a path, an embedded name, a name on the hub, or the default."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import BundleNotFoundError
from ..files import printable
from .bundle import Bundle
from .hub_name import HUB_SCHEME, parse_hub_name
from .manifest import MANIFEST
from .schema import read_manifest

MODEL_VARIABLE = "E2V_MODEL"
"""Environment variable that names the default model, as :func:`find_bundle` takes it."""

EMBEDDED = Path(__file__).parents[1] / "models"
DEFAULT_NAME = "emotion2vec_small"


def find_bundle(
    model: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    manifest_only: bool = False,
) -> Path:
    """Folder of a bundle; arguments and errors as :func:`open_bundle`."""
    origin = ""
    if model is None:
        model = os.environ.get(MODEL_VARIABLE)
        if not model:  # not by its name: the current folder may hold a folder of that name
            return EMBEDDED / DEFAULT_NAME
        origin = f" (from {MODEL_VARIABLE})"
    if str(model).startswith(HUB_SCHEME):
        from .hub import fetch_bundle

        name = parse_hub_name(str(model))
        return fetch_bundle(name, offline=offline, manifest_only=manifest_only)
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
        "made by 'e2v export', hf://owner/name for one on the hub, or one of the embedded models: "
        f"{', '.join(embedded_names()) or 'none'}"
    )


def embedded_names() -> list[str]:
    """Names of the models inside the package."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{MANIFEST}"))


def open_bundle(
    model: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    manifest_only: bool = False,
) -> Bundle:
    """Find a bundle and read its manifest.

    Args:
        model: path of a bundle or of its manifest, an embedded name, or ``hf://owner/name`` with
            ``@revision`` or without; None takes ``$E2V_MODEL``, else the embedded default.
        offline: take a model of the hub from the cache of its client only.
        manifest_only: fetch the manifest of a model of the hub, and no graphs.

    Raises:
        BundleNotFoundError: there is no bundle; the message names those there are.
        OptionError: a name that begins like one of the hub, and is none.
        HubError: the hub does not serve it.
        MissingExtraError: the hub's client is not installed.
        BundleFormatError: its manifest cannot be used.
    """
    folder = find_bundle(model, offline=offline, manifest_only=manifest_only)
    return Bundle(folder, read_manifest(folder / MANIFEST))

"""The model of a batch on another machine: found there, or shipped there once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...bundle.bundle import Bundle
from ...bundle.hub import bundle_files
from ...bundle.locate import embedded_names, find_bundle
from ...bundle.manifest import MANIFEST
from ...errors import ClusterError
from ...files import atomic_folder, cache_folder, locked_folder


@dataclass(frozen=True)
class ShippedModel:
    """A bundle as another machine looks for it."""

    name: str
    folder: str
    """Path on the machine that started the run; others may share it."""
    digest: str
    """SHA-256 of ``bundle.json``, which holds those of the other files."""

    @classmethod
    def of(cls, bundle: Bundle) -> ShippedModel:
        """The model of a bundle on this machine."""
        folder = bundle.folder.resolve()
        return cls(bundle.manifest.name, str(folder), _digest(folder))

    def find(self) -> Path | None:
        """Folder of the same bundle on this machine; None if it is not there."""
        places = [Path(self.folder), self._cached]
        if self.name in embedded_names():
            places.append(find_bundle(self.name))
        for place in places:
            try:
                if _digest(place) == self.digest:
                    return place
            except OSError:
                continue
        return None

    def receive(self, files: Mapping[str, Callable[[], Any]]) -> Path:
        """Write the bundle to the cache folder of this machine, unless another worker just did.

        Args:
            files: by their path in the bundle, what fetches their bytes, uint8 [bytes].

        Raises:
            OutputError: it cannot be written.
            OSError: the cache folder cannot be made.
        """
        target = self._cached
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked_folder(target.parent):
            if found := self.find():
                return found
            with atomic_folder(target, MANIFEST) as folder:
                for path, fetch in files.items():
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    np.asarray(fetch()).tofile(folder / path)
        return target

    @property
    def _cached(self) -> Path:
        return cache_folder() / "shipped" / self.digest[:16]


def put_bundle(bundle: Bundle, put: Callable[[Any], Any]) -> dict[str, Any]:
    """Put the files of a bundle into the object store; the references by path in the bundle.

    Raises:
        ClusterError: a file cannot be read, or the store does not take it.
    """
    paths = [MANIFEST, *(file.path for file in bundle_files(bundle.manifest))]
    try:
        return {path: put(np.fromfile(bundle.folder / path, np.uint8)) for path in paths}
    except Exception as error:  # the errors of Ray and those of files share no base
        raise ClusterError(
            f"{bundle.folder}: the model is on this machine alone, and cannot be sent to the "
            f"others: {error}; put it where they have it at the same path"
        ) from error


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()

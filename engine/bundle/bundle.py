"""A bundle on disk whose manifest has been read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import VariantNotFoundError
from ..settings import Precision
from .integrity import verify_files
from .manifest import GRAPHS, Manifest, Variant

if TYPE_CHECKING:
    from .head import Head


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest has been read."""

    folder: Path
    manifest: Manifest

    def variant(self, precision: Precision) -> Variant:
        """The variant of one precision.

        Raises:
            VariantNotFoundError: the bundle does not have it.
        """
        try:
            return self.manifest.variants[precision]
        except KeyError:
            have = ", ".join(self.manifest.variants)
            raise VariantNotFoundError(
                f"{self.folder}: no {precision} variant; it has {have}"
            ) from None

    def graphs(self, precision: Precision) -> dict[str, Path]:
        """Paths of both graphs of a variant, by ``frontend`` and ``encoder``."""
        return {graph: self.graph(precision, graph) for graph in GRAPHS}

    def graph(self, precision: Precision, graph: str) -> Path:
        """Path of ``frontend.onnx`` or ``encoder.onnx`` of a variant."""
        paths = (PurePosixPath(file.path) for file in self.variant(precision).files)
        return self.folder / next(path for path in paths if path.name == f"{graph}.onnx")

    def head(self, labels: Sequence[str] | None = None) -> Head:
        """Last step of the model: its own head or the bundle's, and the temperature.

        Args:
            labels: label ids that may be the answer; None takes all.

        Raises:
            OptionError, NoHeadError: the model has no such labels.
            BundleTamperedError: the head's file is missing or differs.
            BundleFormatError: the head's file is no head of this model.
        """
        from .head import (  # numpy, which reading a manifest does without
            Head,
            label_mask,
            read_head,
        )

        manifest = self.manifest
        temperature = 1.0 if manifest.calibration is None else manifest.calibration.temperature
        mask = label_mask(labels, [label.id for label in manifest.labels], manifest.name)
        if manifest.head is None:
            return Head(temperature=temperature, mask=mask)
        verify_files(self.folder, [manifest.head])
        path = self.folder / manifest.head.path
        dim = manifest.architecture.embed_dim
        return Head(*read_head(path, len(manifest.labels), dim), temperature, mask)

    def verify(self, precision: Precision) -> None:
        """Compare the files of a variant with the checksums of ``bundle.json``.

        A file that matched once is not read again while its size, times and inode stay the same.

        Raises:
            BundleTamperedError: a file is missing or differs.
            BundleFormatError: a graph is not an ONNX file, or reads a file that is not listed.
        """
        verify_files(self.folder, self.variant(precision).files)

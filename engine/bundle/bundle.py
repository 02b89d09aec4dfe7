"""A bundle on disk whose manifest has been read."""

from __future__ import annotations

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

    def head(self) -> Head:
        """What makes logits of the encoder's frames.

        Raises:
            BundleTamperedError: its file is missing or differs.
            BundleFormatError: its file is no head.
        """
        from .head import Head, read_head  # numpy, which reading a manifest does without

        calibration = self.manifest.calibration
        temperature = 1.0 if calibration is None else calibration.temperature
        if self.manifest.head is None:
            return Head(temperature=temperature)
        verify_files(self.folder, [self.manifest.head])
        path = self.folder / self.manifest.head.path
        return Head(*read_head(path, len(self.manifest.labels)), temperature)

    def verify(self, precision: Precision) -> None:
        """Compare the files of a variant with the checksums of ``bundle.json``.

        A file that matched once is not read again as long as its size and time stay the same.

        Raises:
            BundleTamperedError: a file is missing or differs.
        """
        verify_files(self.folder, self.variant(precision).files)

"""A bundle on disk whose manifest has been read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import BundleFormatError, VariantNotFoundError
from .integrity import verify_files
from .manifest import GRAPHS, Manifest, Variant, checked_temperature

if TYPE_CHECKING:
    from .head import Head


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest has been read."""

    folder: Path
    manifest: Manifest

    def variant(self, precision: str) -> Variant:
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

    def graphs(self, precision: str) -> dict[str, Path]:
        """Paths of both graphs of a variant, by ``frontend`` and ``encoder``."""
        return {graph: self.graph(precision, graph) for graph in GRAPHS}

    def graph(self, precision: str, graph: str) -> Path:
        """Path of ``frontend.onnx`` or ``encoder.onnx`` of a variant."""
        name = f"{graph}.onnx"
        for file in self.variant(precision).files:
            if PurePosixPath(file.path).name == name:
                return self.folder / file.path
        raise BundleFormatError(f"{self.folder}: variant {precision} lists no {name}")

    def head(self) -> Head:
        """What makes logits of the encoder's frames.

        Raises:
            BundleTamperedError: its file is missing or differs.
            BundleFormatError: its file is no head.
        """
        from .head import Head, read_head  # numpy, which reading a manifest does without

        calibration = self.manifest.calibration
        temperature = 1.0 if calibration is None else checked_temperature(calibration)
        if self.manifest.head is None:
            return Head(temperature=temperature)
        verify_files(self.folder, [self.manifest.head])
        path = self.folder / self.manifest.head.path
        return Head(*read_head(path, len(self.manifest.labels)), temperature)

    def verify(self, precision: str) -> None:
        """Compare the files of a variant with the checksums of ``bundle.json``.

        A file that matched once is not read again as long as its size and time stay the same.

        Raises:
            BundleTamperedError: a file is missing or differs.
        """
        verify_files(self.folder, self.variant(precision).files)

"""emotion2vec as a teacher: a FunASR checkpoint through torch, a bundle through the engine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.bundle.locate import open_bundle
from emotion2vec_edge.engine.bundle.manifest import MANIFEST, AudioContract
from emotion2vec_edge.engine.settings import PrecisionChoice

from ...checkpoint.calibration import read_calibration
from ...checkpoint.folder import WEIGHTS, load_checkpoint
from ...model.config import ModelConfig
from .base import Teacher, check_frames
from .whisper import licence_beside


def contract_of(config: ModelConfig) -> AudioContract:
    """The audio that a torch model takes."""
    return AudioContract(SAMPLE_RATE, config.hop, config.receptive_field, config.normalize)


class CheckpointTeacher(Teacher):
    """A FunASR checkpoint: its final frames and its head."""

    layers = 1

    def __init__(self, folder: Path, name: str, device: torch.device) -> None:
        """Read a checkpoint.

        Raises:
            CheckpointError: it cannot be read.
            OptionError: its frames are not those of emotion2vec.
        """
        checkpoint = load_checkpoint(folder)
        check_frames(name, contract_of(checkpoint.config))
        self.name, self.sha256 = name, checkpoint.files[WEIGHTS]
        self.licence = read_calibration(folder)[1] or licence_beside(folder)
        self.dim, self.labels = checkpoint.config.embed_dim, checkpoint.labels
        self.model = checkpoint.model.eval().to(device)

    def rows(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """See :meth:`Teacher.rows`."""
        frames: Tensor = self.model(waves, lengths)[0]
        return frames

    def answers(self, means: Tensor) -> Tensor:
        """See :meth:`Teacher.answers`."""
        head: nn.Module = self.model.encoder.head  # type: ignore[assignment]
        logits: Tensor = head(means)
        return logits


class BundleTeacher(Teacher):
    """A bundle: its final frames and, behind them in each row, its frame logits."""

    layers = 1

    def __init__(self, model: str | os.PathLike[str], device: torch.device) -> None:
        """Open a bundle, in float32 where it has that.

        Raises:
            ModelError: it cannot be used.
            ProviderError: a GPU was named and cannot serve.
            OptionError: its frames are not those of emotion2vec.
        """
        bundle = open_bundle(model)
        manifest = bundle.manifest
        check_frames(manifest.name, manifest.audio)
        exact: PrecisionChoice = "fp32" if "fp32" in manifest.variants else "auto"
        self.recognizer = Recognizer.load(
            bundle.folder, provider="cuda" if device.type == "cuda" else "cpu", precision=exact
        )
        self.name, self.licence = manifest.name, manifest.source.licence
        # The manifest holds the checksum of every file.
        self.sha256 = sha256_of(bundle.folder / MANIFEST)
        self.dim, self.labels = manifest.architecture.embed_dim, manifest.labels

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return self.dim + len(self.labels)

    def rows(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """See :meth:`Teacher.rows`."""
        heard = []
        for wave, length in zip(waves.cpu(), lengths.tolist(), strict=True):
            encoding = self.recognizer.encode(wave[:length].numpy(), SAMPLE_RATE, frames=True)
            parts = [part for part in (encoding.frames, encoding.logits) if part is not None]
            heard.append(torch.from_numpy(np.concatenate(parts, axis=1)))
        return nn.utils.rnn.pad_sequence(heard, batch_first=True).to(waves.device)

    def answers(self, means: Tensor) -> Tensor:
        """See :meth:`Teacher.answers`."""
        return means[:, self.dim :]  # the head is linear: the mean of logits is that of the mean

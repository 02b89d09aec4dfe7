"""Embeddings and logits of a torch model for whole clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion2vec_edge.engine.progress import Progress, no_progress

from ..model.emotion2vec import Emotion2vec
from .speech import Speech

BATCH = 16
"""Clips of similar length that are encoded at once."""


def embeddings_of(
    model: Emotion2vec, speech: Speech, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """Mean frames of whole clips: float32 [clips, dim]."""
    order = np.argsort([len(wave) for wave in speech.waves], kind="stable")
    device = next(model.parameters()).device
    means = np.zeros((len(speech), model.config.embed_dim), np.float32)
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            picked = order[start : start + BATCH]
            waves, lengths = padded([speech.waves[i].astype(np.float32) / 32768 for i in picked])
            means[picked] = model(waves.to(device), lengths.to(device))[1].cpu().numpy()
            progress("embeddings", start + len(picked), len(order))
    return means


def logits_of(model: Emotion2vec, speech: Speech) -> NDArray[np.float32]:
    """Logits of whole clips: float32 [clips, labels]."""
    with torch.no_grad():
        embeddings = torch.from_numpy(embeddings_of(model, speech))
        head: nn.Linear = model.encoder.head  # type: ignore[assignment]
        logits: Tensor = head(embeddings.to(head.weight.device))
    return logits.cpu().numpy()


def padded(waves: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """A batch of clips [batch, samples], zero beyond their lengths [batch]."""
    tensors = [torch.from_numpy(wave) for wave in waves]
    batch = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
    return batch, torch.tensor([len(wave) for wave in waves])

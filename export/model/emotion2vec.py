"""The whole model: front-end and encoder, and both as one graph."""

from __future__ import annotations

from torch import Tensor, nn

from .config import ModelConfig
from .encoder import Encoder
from .frontend import Frontend
from .padding import frame_counts, normalized_batch, within


class Emotion2vec(nn.Module):
    """Front-end and encoder of one architecture."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        self.config = config
        self.frontend = Frontend(config)
        self.encoder = Encoder(config, num_labels)

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Raw clips → frames, embeddings, logits and probabilities.

        Args:
            waveform: float32 [batch, samples] at 16 kHz, not normalised, any values beyond a
                clip's length.
            lengths: int64 [batch], valid samples of each clip.

        Returns:
            frames [batch, frames, dim], embedding [batch, dim] and, where there is a head,
            logits [batch, frames, labels] and probabilities [batch, labels] of the whole clip.
        """
        if self.config.normalize:
            waveform = normalized_batch(waveform, lengths)
        else:
            waveform = waveform * within(lengths, waveform.shape[1]).to(waveform.dtype)
        frame_lengths = frame_counts(lengths, self.config)
        encoded = self.encoder(self.frontend(waveform), frame_lengths)
        count = frame_lengths.unsqueeze(1).to(waveform.dtype)
        embedding = encoded[0].sum(dim=1) / count
        if self.encoder.head is None:
            return encoded[0], embedding
        return encoded[0], embedding, encoded[1], self.encoder.head(embedding).softmax(dim=-1)

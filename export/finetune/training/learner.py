"""The model in training: dropout, auxiliary heads, losses, and the average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from ...model.emotion2vec import Emotion2vec
from ...model.frontend import ConvBlock
from ...model.layers import Block
from ...model.padding import frame_counts, within
from .mel import LogMel


@dataclass(frozen=True)
class Regularization:
    """Measures against learning a small corpus by heart."""

    dropout: float = 0.1
    """Dropout of the features and of the output of each half of a block."""
    drop_path: float = 0.1
    """Share of clips for which the last block is skipped; the share falls to 0 at the first one."""
    label_smoothing: float = 0.1
    mask_frames: float = 0.05
    """Share of the features that are set to zero, in spans of up to 0.2 s."""


class ResidualDrop(nn.Module):
    """Dropout of the output of half a block; for some clips the whole output is dropped."""

    def __init__(self, dropout: float, path: float) -> None:
        super().__init__()
        self.dropout, self.path = dropout, path

    def forward(self, x: Tensor) -> Tensor:
        """``x``: [batch, tokens, dim]."""
        if not self.training:
            return x
        # One mask for all tokens of a clip is as good; one for each token took 6 % of a step.
        kept = (torch.rand(len(x), 1, x.shape[2]) >= self.dropout) / (1 - self.dropout)
        kept = kept * (torch.rand(len(x), 1, 1) >= self.path) / (1 - self.path)
        return x * kept.to(x.dtype)


class Learner(nn.Module):
    """A model with the auxiliary heads that only training needs.

    Blocks at one and two thirds of the depth get a head of their own (deep supervision), and the
    front-end's features must predict the log-mel spectrum of their sound, which gives them
    something to learn from every 20 ms instead of one label a clip.
    """

    def __init__(self, model: Emotion2vec, labels: int, settings: Regularization) -> None:
        super().__init__()
        config = model.config
        self.model, self.labels, self.settings = model, labels, settings
        self.log_mel = LogMel(config.receptive_field, config.hop)
        self.to_mel = nn.Linear(config.embed_dim, LogMel.bands)
        blocks: list[Block] = [*model.encoder.prenet, *model.encoder.blocks]
        for index, block in enumerate(blocks):
            path = settings.drop_path * index / max(1, len(blocks) - 1)
            block.drop = ResidualDrop(settings.dropout, path)
        self.taps = sorted({len(blocks) // 3 - 1, 2 * len(blocks) // 3 - 1} - {-1})
        self.heads = nn.ModuleList(nn.Linear(config.embed_dim, labels) for _ in self.taps)
        self._tapped: list[Tensor] = []
        for index in self.taps:
            blocks[index].register_forward_hook(lambda *args: self._tapped.append(args[2]))

    def parameter_groups(self, weight_decay: float) -> list[dict[str, object]]:
        """Parameter groups for the optimizer; ``scale`` multiplies a group's learning rate.

        Matrices decay; vectors (biases, norms, scales) do not. The first convolution gets a rate in
        proportion to its small weights: an Adam step is as large as the rate, whatever the weight.
        """
        first = cast("ConvBlock", self.model.frontend.convs[0]).conv.weight
        rest = [p for p in self.parameters() if p is not first]
        size = 0.05 * float(first.detach().flatten(1).norm(dim=1).mean())
        return [
            {"params": [first], "weight_decay": 0.0, "scale": min(1.0, size)},
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": weight_decay, "scale": 1.0},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0, "scale": 1.0},
        ]

    def mel_loss(self, features: Tensor, waves: Tensor, valid: Tensor) -> Tensor:
        """Distance between the predicted and the true log-mel spectrum."""
        target = self.log_mel(waves)
        distance = F.smooth_l1_loss(self.to_mel(features).float(), target, reduction="none")
        return 10 * (distance.mean(dim=-1) * valid).sum() / valid.sum()

    def frontend_loss(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Loss of the spectrum alone; the encoder does not run."""
        features = self.model.frontend(waves)
        return self.mel_loss(features, waves, self._valid(features, lengths))

    def forward(
        self, waves: Tensor, lengths: Tensor, targets: Tensor, mel_weight: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of a batch.

        Args:
            waves: float32 [batch, samples], each normalised, zero beyond its length.
            lengths: int64 [batch], samples.
            targets: float32 [batch, labels], share of each label.
            mel_weight: weight of the spectrum's loss.

        Returns:
            the sum to minimise; for the log, the loss of the head alone and of the spectrum.
        """
        features = self.model.frontend(waves)
        valid = self._valid(features, lengths)
        mel = self.mel_loss(features, waves, valid) if mel_weight else torch.zeros(())
        features = F.dropout(self._masked(features), self.settings.dropout, self.training)
        self._tapped.clear()
        _, logits = self.model.encoder(features, valid.sum(dim=1).long())
        extra = self.model.config.num_extra_tokens
        answers = [self._mean(logits, valid)]
        for head, tapped in zip(self.heads, self._tapped, strict=True):
            answers.append(head(self._mean(tapped[:, extra:], valid)))
        losses = [cross_entropy(a, targets, self.settings.label_smoothing) for a in answers]
        total = losses[0] + 0.3 * sum(losses[1:], torch.zeros(())) + mel_weight * mel
        return total, losses[0].detach(), mel.detach()

    def _valid(self, features: Tensor, lengths: Tensor) -> Tensor:
        """1 on the frames of each clip and 0 on padding: float32 [batch, frames]."""
        return within(frame_counts(lengths, self.model.config), features.shape[1]).float()

    def _masked(self, features: Tensor) -> Tensor:
        """Features with random spans of frames set to zero."""
        batch, frames, _ = features.shape
        span = min(10, frames)
        chance = 2 * self.settings.mask_frames / (span + 1)
        starts = (torch.rand(batch, 1, frames) < chance).float()
        # Spans have 1 to 10 frames: (span + 1) / 2 on average.
        reach = int(torch.randint(1, span + 1, ()).item())
        hidden = F.max_pool1d(F.pad(starts, (reach - 1, 0)), reach, 1).transpose(1, 2)
        return features * (1 - hidden).to(features.dtype)

    @staticmethod
    def _mean(values: Tensor, valid: Tensor) -> Tensor:
        """Mean over the valid frames: [batch, frames, dim] → float32 [batch, dim]."""
        return (values.float() * valid[..., None]).sum(dim=1) / valid.sum(dim=1, keepdim=True)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with label smoothing, mean over a batch: both [batch, labels]."""
    targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
    return -(targets * F.log_softmax(logits.float(), dim=-1)).sum(dim=-1).mean()


class Average:
    """Exponential moving average of a module's weights; the result of a training."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.clone() for name, value in self._weights(module)}

    def update(self, module: nn.Module, step: int) -> None:
        """Add the weights after ``step`` steps; the decay is smaller at first, to forget faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self._weights(module):
                self.values[name].lerp_(value, 1 - decay)

    @staticmethod
    def _weights(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
        for name, value in module.named_parameters():
            yield name, value.detach()

"""The model as it learns: what is dropped at random, what else it has to answer, and the loss."""

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
from .augmentation import LogMel


@dataclass(frozen=True)
class Regularization:
    """What keeps a small corpus from being learned by heart."""

    dropout: float = 0.1
    """Of what each half of a block adds, and of the features."""
    drop_path: float = 0.1
    """Share of clips for which the last block is left out; less for those before it."""
    label_smoothing: float = 0.1
    mask_frames: float = 0.05
    """Share of the features that are hidden, in spans of up to 0.2 s."""


class ResidualDrop(nn.Module):
    """Dropout, and for some clips nothing at all, of what a half block adds."""

    def __init__(self, dropout: float, path: float) -> None:
        super().__init__()
        self.dropout, self.path = dropout, path

    def forward(self, x: Tensor) -> Tensor:
        """``x``: [batch, tokens, dim]."""
        if not self.training:
            return x
        # One mask for all tokens of a clip: as good, and drawing one for each took 6 % of a step.
        kept = (torch.rand(len(x), 1, x.shape[2]) >= self.dropout) / (1 - self.dropout)
        kept = kept * (torch.rand(len(x), 1, 1) >= self.path) / (1 - self.path)
        return x * kept.to(x.dtype)


class Learner(nn.Module):
    """A model with the helpers that only training needs.

    Beside its head, the blocks half way up answer too (deep supervision), and the front-end's
    features have to tell the log-mel spectrum of what they hear, which gives them something to
    learn from every 20 ms of sound instead of one label a clip.
    """

    def __init__(self, model: Emotion2vec, labels: int, settings: Regularization) -> None:
        super().__init__()
        config = model.config
        self.model, self.settings = model, settings
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
        """What the optimizer takes; ``scale`` is the part of the learning rate of a group.

        Matrices decay, vectors (biases, norms, scales) do not. The first convolution moves by as
        small a part of itself as they do: an Adam step is as large as the rate, whatever it steps.
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
        """How far the features are from telling the spectrum."""
        target = self.log_mel(waves)
        distance = F.smooth_l1_loss(self.to_mel(features).float(), target, reduction="none")
        return 10 * (distance.mean(dim=-1) * valid).sum() / valid.sum()

    def frontend_loss(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """The spectrum alone, to begin with: the encoder is not run."""
        features = self.model.frontend(waves)
        return self.mel_loss(features, waves, self._valid(features, lengths))

    def forward(
        self, waves: Tensor, lengths: Tensor, targets: Tensor, mel_weight: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss of a batch.

        Args:
            waves: float32 [batch, samples], each normalised, zero beyond its length.
            lengths: int64 [batch], samples.
            targets: float32 [batch, labels], the labels' shares.
            mel_weight: how much the spectrum counts.

        Returns:
            the sum; the loss of the head alone and of the spectrum, for the log.
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
        return within(frame_counts(lengths, self.model.config), features.shape[1]).float()

    def _masked(self, features: Tensor) -> Tensor:
        batch, frames, _ = features.shape
        span = min(10, frames)
        chance = 2 * self.settings.mask_frames / (span + 1)
        starts = (torch.rand(batch, 1, frames) < chance).float()
        # A span of 1 to 10 frames begins at each start: (span + 1) / 2 on average.
        reach = int(torch.randint(1, span + 1, ()).item())
        hidden = F.max_pool1d(F.pad(starts, (reach - 1, 0)), reach, 1).transpose(1, 2)
        return features * (1 - hidden).to(features.dtype)

    @staticmethod
    def _mean(values: Tensor, valid: Tensor) -> Tensor:
        return (values.float() * valid[..., None]).sum(dim=1) / valid.sum(dim=1, keepdim=True)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Mean over a batch: both [batch, labels]."""
    targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
    return -(targets * F.log_softmax(logits.float(), dim=-1)).sum(dim=-1).mean()


class Average:
    """Exponential moving average of a module's weights, the one that is kept in the end."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.clone() for name, value in self._of(module)}

    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after ``step`` steps; the first ones are soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in self._of(module):
                self.values[name].lerp_(value, 1 - decay)

    @staticmethod
    def _of(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
        for name, value in module.named_parameters():
            yield name, value.detach()

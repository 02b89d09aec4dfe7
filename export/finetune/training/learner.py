"""The model in training: dropout, auxiliary heads, losses, and the average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from ...model.emotion2vec import Emotion2vec
from ...model.frontend import ConvBlock
from ...model.padding import frame_counts, within
from .batches import Batch
from .mel import LogMel
from .recipe import Recipe
from .trainable import Losses, ParameterGroup, Trainable

BatchT = TypeVar("BatchT")

INNER_WEIGHT = 0.3
"""Weight of the loss of an answer that a block inside the encoder gives."""


@dataclass(frozen=True)
class Heard:
    """Outputs of a model for a batch in training."""

    frames: Tensor
    """Final frames, [batch, frames, dim]."""
    tapped: tuple[Tensor, ...]
    """Frames of the blocks at one and two thirds of the depth, each [batch, frames, dim]."""
    answers: tuple[Tensor, ...]
    """Logits of whole clips, each [batch, labels]: of the head, then of the tapped blocks."""
    mel: Tensor
    """Loss of the log-mel spectrum."""
    valid: Tensor
    """1 on the frames of each clip and 0 on padding: float32 [batch, frames]."""


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
        kept = (torch.rand(len(x), 1, x.shape[2], device=x.device) >= self.dropout) / (
            1 - self.dropout
        )
        kept = kept * (torch.rand(len(x), 1, 1, device=x.device) >= self.path) / (1 - self.path)
        return x * kept.to(x.dtype)


class EmotionLearner(Trainable[Emotion2vec, BatchT]):
    """A model with the auxiliary heads that only training needs.

    Blocks at one and two thirds of the depth get a head of their own (deep supervision), and the
    front-end's features must predict the log-mel spectrum of their sound, which gives them
    something to learn from every 20 ms instead of one label a clip.
    """

    inner_heads = True
    """True where blocks inside get a head."""

    def __init__(self, model: Emotion2vec, labels: int, recipe: Recipe) -> None:
        super().__init__()
        config = model.config
        self.model, self.recipe, self.settings = model, recipe, recipe.regularization
        self.log_mel = LogMel(config.receptive_field, config.hop)
        self.to_mel = nn.Linear(config.embed_dim, LogMel.bands)
        blocks = model.encoder.every_block
        for index, block in enumerate(blocks):
            path = self.settings.drop_path * index / max(1, len(blocks) - 1)
            block.drop = ResidualDrop(self.settings.dropout, path)
        thirds = {len(blocks) // 3 - 1, 2 * len(blocks) // 3 - 1} - {-1}
        self.taps = sorted(thirds) if self.inner_heads else []
        self.heads = nn.ModuleList(nn.Linear(config.embed_dim, labels) for _ in self.taps)
        self._tapped: list[Tensor] = []
        for index in self.taps:
            blocks[index].register_forward_hook(lambda *args: self._tapped.append(args[2]))

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """The parameters to train, in groups.

        Matrices decay; vectors (biases, norms, scales) do not. The first convolution gets a rate in
        proportion to its small weights: an Adam step is as large as the rate, whatever the weight.
        """
        first = cast("ConvBlock", self.model.frontend.convs[0]).conv.weight
        size = 0.05 * float(first.detach().flatten(1).norm(dim=1).mean())
        blocks = [p for block in self.model.encoder.every_block for p in block.parameters()]
        matrices: list[Tensor] = [p for p in blocks if p.ndim == 2]
        apart = {id(first), *map(id, matrices)}
        rest = [p for p in self.parameters() if id(p) not in apart]
        muon_scale = self.recipe.muon_scale
        return [
            ParameterGroup([first], 0.0, min(1.0, size)),
            ParameterGroup([p for p in rest if p.ndim > 1], weight_decay),
            ParameterGroup([p for p in rest if p.ndim <= 1], 0.0),
            ParameterGroup(matrices, weight_decay, muon_scale or 1.0, muon=muon_scale > 0),
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

    def hear(self, waves: Tensor, lengths: Tensor) -> Heard:
        """Run the model over a batch.

        Args:
            waves: float32 [batch, samples], each normalised, zero beyond its length.
            lengths: int64 [batch], samples.
        """
        features = self.model.frontend(waves)
        valid = self._valid(features, lengths)
        mel = torch.zeros((), device=waves.device)
        if self.recipe.mel_weight:
            mel = self.mel_loss(features, waves, valid)
        features = F.dropout(self._masked(features), self.settings.dropout, self.training)
        self._tapped.clear()
        frames, logits = self.model.encoder(features, valid.sum(dim=1).long())
        extra = self.model.config.num_extra_tokens
        tapped = tuple(tokens[:, extra:] for tokens in self._tapped)
        answers = [self._mean(logits, valid)]
        for head, inner in zip(self.heads, tapped, strict=True):
            answers.append(head(self._mean(inner, valid)))
        return Heard(frames, tapped, tuple(answers), mel, valid)

    def _valid(self, features: Tensor, lengths: Tensor) -> Tensor:
        """1 on the frames of each clip and 0 on padding: float32 [batch, frames]."""
        return within(frame_counts(lengths, self.model.config), features.shape[1]).float()

    def _masked(self, features: Tensor) -> Tensor:
        """Features with random spans of frames set to zero."""
        batch, frames, _ = features.shape
        span = min(10, frames)
        chance = 2 * self.settings.mask_frames / (span + 1)
        starts = (torch.rand(batch, 1, frames, device=features.device) < chance).float()
        # Spans have 1 to 10 frames: (span + 1) / 2 on average.
        reach = int(torch.randint(1, span + 1, ()).item())
        hidden = F.max_pool1d(F.pad(starts, (reach - 1, 0)), reach, 1).transpose(1, 2)
        return features * (1 - hidden).to(features.dtype)

    @staticmethod
    def _mean(values: Tensor, valid: Tensor) -> Tensor:
        """Mean over the valid frames: [batch, frames, dim] → float32 [batch, dim]."""
        return (values.float() * valid[..., None]).sum(dim=1) / valid.sum(dim=1, keepdim=True)


class Learner(EmotionLearner[Batch]):
    """A model that learns from labels."""

    def losses(self, batch: Batch, step: int) -> Losses:
        """Cross-entropy of the heads, and distance from the spectrum."""
        if step < self.recipe.frontend_steps:
            mel = self.frontend_loss(batch.waves, batch.lengths)
            return Losses(mel, torch.zeros(()), {"mel": mel})
        heard = self.hear(batch.waves, batch.lengths)
        smoothing = self.settings.label_smoothing
        losses = [cross_entropy(answer, batch.targets, smoothing) for answer in heard.answers]
        return Losses(
            deeply_supervised(losses) + self.recipe.mel_weight * heard.mel,
            losses[0],
            {"mel": heard.mel},
        )


def deeply_supervised(losses: Sequence[Tensor]) -> Tensor:
    """The loss of the head and a part of those of the blocks inside."""
    return losses[0] + INNER_WEIGHT * sum(losses[1:], torch.zeros((), device=losses[0].device))


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

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Take over the values of a saved average."""
        for name, value in self.values.items():
            value.copy_(values[name])

    @staticmethod
    def _weights(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
        for name, value in module.named_parameters():
            yield name, value.detach()

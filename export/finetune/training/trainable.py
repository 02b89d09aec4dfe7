"""The interface between the training loop and the model that it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

ModelT = TypeVar("ModelT", bound=nn.Module)
BatchT = TypeVar("BatchT")
BatchT_co = TypeVar("BatchT_co", covariant=True)


@dataclass(frozen=True)
class Losses:
    """Losses of one batch, each a tensor of one number."""

    total: Tensor
    """The sum to minimise."""
    main: Tensor
    """The loss that the log and its picture show first."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Name → any other loss of the log."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are trained alike."""

    params: list[Tensor]
    weight_decay: float
    scale: float = 1.0
    """Learning rate against that of the recipe."""
    muon: bool = False
    """True for matrices that Muon trains instead of AdamW."""


class Trainable(nn.Module, ABC, Generic[ModelT, BatchT]):
    """A model with everything that only its training needs.

    Every random number of a step comes from torch's own generators, which the batch seeds.
    """

    model: ModelT
    """The result of the training, as the average of its weights."""

    @property
    def device(self) -> torch.device:
        """The device of the weights, where batches must be."""
        return next(self.parameters()).device

    @abstractmethod
    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """The parameters to train, in groups."""

    @abstractmethod
    def losses(self, batch: BatchT, step: int) -> Losses:
        """The losses of a batch at a step, counted from 0."""


class BatchSource(Protocol[BatchT_co]):
    """The batches of a training."""

    def __getitem__(self, step: int) -> BatchT_co:
        """The batch of a step, which depends on the step alone.

        It also seeds torch's generators for the dropout of the step.
        """

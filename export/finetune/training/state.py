"""The saved state of a training, from which it continues."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_file

STATE = "training.pt"


@dataclass(frozen=True)
class TrainingState:
    """Everything that a training continues from."""

    recipe: Mapping[str, Any]
    """The recipe, as :meth:`~.recipe.Recipe.as_dict` gives it."""
    step: int
    seconds: float
    """Seconds of training so far."""
    learner: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write the state, whole or not at all.

        Raises:
            OutputError: the disk fails.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        with atomic_file(folder / STATE) as file:
            torch.save(values, file)


def load_state(folder: Path) -> TrainingState | None:
    """The state of a training in this folder; None if there is none.

    Raises:
        OptionError: the file is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        return TrainingState(**torch.load(path, weights_only=True, map_location="cpu"))
    except (
        RuntimeError, ValueError, TypeError, EOFError, LookupError, pickle.UnpicklingError,
    ):  # fmt: skip
        raise OptionError(
            f"{path}: the saved training cannot be read; remove the file and give --overwrite to "
            "begin anew, or give another -o"
        ) from None

"""The weights of a checkpoint: read from ``model.pt`` and fitted into a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.engine.fields import shown

from ..model.config import ModelConfig
from ..model.emotion2vec import Emotion2vec
from .names import IGNORED, funasr_names, without_prefix
from .tensors import read_tensors


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a ``model.pt``: FunASR's names without the prefixes of wrappers → tensors.

    Raises:
        CheckpointError: the file is no checkpoint, is damaged, or holds no weights.
    """
    return {without_prefix(name): tensor for name, tensor in read_tensors(path).items()}


def renamed(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """FunASR's weights under this package's names.

    Raises:
        CheckpointError: a weight belongs to another architecture or is no floating-point number.
    """
    ours = {theirs: our for our, theirs in funasr_names(config).items()}
    unknown = [
        shown(name, bare=True) for name in weights if name not in ours and not IGNORED.match(name)
    ]
    if unknown:
        raise CheckpointError(
            f"model.pt has weights that this architecture does not: {_listed(unknown)}; "
            "does config.yaml belong to it?"
        )
    found = {ours[name]: tensor for name, tensor in weights.items() if name in ours}
    integers = [name for name in weights if name in ours and not weights[name].is_floating_point()]
    if integers:
        raise CheckpointError(
            f"model.pt has weights that are no floating-point numbers: {_listed(integers)}"
        )
    scale = found.get("encoder.alibi_scale")
    if scale is not None and scale.dim() == 4:  # FunASR's upgrade_state_dict_named
        found["encoder.alibi_scale"] = scale.unsqueeze(0)
    return found


def filled(config: ModelConfig, labels: int, weights: Mapping[str, Tensor]) -> Emotion2vec:
    """A model in float32 with these weights, which have this package's names.

    Raises:
        CheckpointError: weights are missing, left over, misshapen or not finite; all are listed.
    """
    theirs = funasr_names(config)
    with torch.device("meta"):  # the shapes alone: the memory is reserved when all of them agree
        expected = Emotion2vec(config, labels).state_dict()
    # Zero extra tokens are an empty parameter here and no parameter at all in FunASR.
    empty = {
        name: torch.empty(tensor.shape)
        for name, tensor in expected.items()
        if tensor.numel() == 0 and name not in weights
    }
    weights = {**weights, **empty}
    misshapen = [
        f"{theirs[name]} is {list(weights[name].shape)} and should be {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    problems = {
        "missing": [theirs[name] for name in expected if name not in weights],
        "not of this architecture": [theirs[name] for name in weights if name not in expected],
        "misshapen": misshapen,
    }
    if any(problems.values()):
        raise CheckpointError(
            "model.pt does not fit config.yaml; "
            + "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
        )
    # A finite float64 may be infinite in float32.
    weights = {name: tensor.float() for name, tensor in weights.items()}
    broken = [theirs[name] for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"model.pt has NaN or infinite weights in {_listed(broken)}")
    model = Emotion2vec(config, labels)
    model.load_state_dict(weights)
    return model.eval()


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(names[:12])
    return listed if len(names) <= 12 else f"{listed} and {len(names) - 12} more"

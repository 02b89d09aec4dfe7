"""The weights of a checkpoint: read from ``model.pt`` and fitted into a model."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotion2vec_edge.engine.errors import CheckpointError

from ..model.emotion2vec import Emotion2vec
from .config import ModelConfig
from .names import IGNORED, funasr_names, without_prefix

WEIGHT_KEYS = ("model", "state_dict", "model_state_dict")
"""Keys under which training checkpoints keep their weights; tried in this order."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a ``model.pt``.

    Nothing in the file is executed: ``weights_only`` unpickling knows tensors and plain containers,
    and objects of any other class (a trainer's arguments, say) become empty placeholders.

    Returns:
        the tensors under FunASR's names, without the prefixes of wrappers.

    Raises:
        CheckpointError: the file is no checkpoint, is damaged, or holds no weights.
    """
    content = _unpickled(path)
    for key in WEIGHT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a dict of weights")
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise CheckpointError(
            f"{path}: no weights under any of {', '.join(WEIGHT_KEYS)} or at the top; "
            f"it holds {', '.join(map(str, list(content)[:8])) or 'nothing'}"
        )
    return {without_prefix(name): tensor for name, tensor in tensors.items()}


def _unpickled(path: Path) -> Any:
    try:
        # The format of torch before 1.6 is no zip file; torch reads it but cannot list its classes.
        foreign = (
            torch.serialization.get_unsafe_globals_in_checkpoint(path)
            if zipfile.is_zipfile(path)
            else []
        )
        placeholders: list[Any] = [
            (type("Placeholder", (_Placeholder,), {}), name) for name in foreign
        ]
        with torch.serialization.safe_globals(placeholders), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; unreadable files are errors
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError,
        TypeError, IndexError, OSError,
    ) as error:  # fmt: skip
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not a torch checkpoint, or a damaged one ({detail})"
        ) from None


class _Placeholder:
    """Stands in for an object of a class that is not loaded; accepts any state and keeps none."""

    def __new__(cls, *_args: object, **_kwargs: object) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _value: object) -> None: ...

    def extend(self, _values: object) -> None: ...


def renamed(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """FunASR's weights under this package's names, as float32.

    Raises:
        CheckpointError: a weight belongs to another architecture.
    """
    ours = {theirs: our for our, theirs in funasr_names(config).items()}
    unknown = [name for name in weights if name not in ours and not IGNORED.match(name)]
    if unknown:
        raise CheckpointError(
            f"model.pt has weights that this architecture does not: {_listed(unknown)}; "
            "does config.yaml belong to it?"
        )
    found = {ours[name]: tensor.float() for name, tensor in weights.items() if name in ours}
    scale = found.get("encoder.alibi_scale")
    if scale is not None and scale.dim() == 4:  # FunASR's upgrade_state_dict_named
        found["encoder.alibi_scale"] = scale.unsqueeze(0)
    return found


def fill(model: Emotion2vec, weights: Mapping[str, Tensor]) -> None:
    """Load weights under this package's names into a model.

    Raises:
        CheckpointError: weights are missing, left over, misshapen or not finite; all are listed.
    """
    theirs = funasr_names(model.config)
    expected = model.state_dict()
    # Zero extra tokens are an empty parameter here and no parameter at all in FunASR.
    empty = {name: t for name, t in expected.items() if t.numel() == 0 and name not in weights}
    weights = {**weights, **empty}
    problems = [f"missing: {_listed([theirs[n] for n in expected if n not in weights])}"]
    problems += [
        f"not of this architecture: {_listed([theirs[n] for n in weights if n not in expected])}"
    ]
    misshapen = [
        f"{theirs[name]} is {list(weights[name].shape)} and should be {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    problems += [f"misshapen: {_listed(misshapen)}"]
    problems = [problem for problem in problems if not problem.endswith(": ")]
    if problems:
        raise CheckpointError("model.pt does not fit config.yaml; " + "; ".join(problems))
    broken = [theirs[name] for name, t in weights.items() if not torch.isfinite(t).all()]
    if broken:
        raise CheckpointError(f"model.pt has NaN or infinite weights in {_listed(broken)}")
    model.load_state_dict(dict(weights))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"

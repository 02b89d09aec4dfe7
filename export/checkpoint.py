"""A FunASR checkpoint folder → config, weights and labels, executing nothing of it.

Such a folder holds ``config.yaml``, ``model.pt`` and, where the model has an emotion head,
``tokens.txt``. This module also knows the way back: our weights under FunASR's names.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.bundle.manifest import Label
from emotion2vec_edge.engine.errors import CheckpointError

from .config import ModelConfig, read_config
from .model import Emotion2vec

WEIGHT_KEYS = ("model", "state_dict", "model_state_dict")
"""Where a training checkpoint keeps its weights; tried in this order."""

PREFIXES = ("module.", "d2v_model.", "model.")
"""What wrappers put before every name; stripped as long as one is there."""

IGNORED = re.compile(
    r"(modality_encoders\.AUDIO\.)?(decoder|shared_decoder|recon_proj|cls_proj|_ema)(\.|$)"
)
"""Parts of pre-training that take no part in inference."""

_AUDIO = "modality_encoders.AUDIO."

TOKENS = ("生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral",
          "其他/other", "难过/sad", "吃惊/surprised", "<unk>")  # fmt: skip
"""The lines of emotion2vec+'s ``tokens.txt``."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    document: Mapping[str, Any]
    """Its ``config.yaml``."""
    config: ModelConfig
    labels: tuple[Label, ...]
    """Emotions in the order of the head's outputs; empty for a model without a head."""
    model: Emotion2vec
    files: Mapping[str, str]
    """sha256 of each file it was read from."""


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a FunASR checkpoint folder.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights do not fit the config.
        UnsupportedConfigError: the config asks for what is not supported.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; a checkpoint is a folder with model.pt")
    paths = {name: folder / name for name in ("config.yaml", "model.pt", "tokens.txt")}
    for name in ("config.yaml", "model.pt"):
        if not paths[name].is_file():
            raise CheckpointError(f"{folder}: {name} is missing; FunASR checkpoints have one")
    document = read_yaml(paths["config.yaml"])
    config = read_config(document)
    weights = _our_names(read_weights(paths["model.pt"]), config)

    outputs = weights["encoder.head.weight"].shape[0] if "encoder.head.weight" in weights else 0
    labels: tuple[Label, ...] = ()
    if outputs:
        labels, used = _read_labels(paths["tokens.txt"], outputs)
        # FunASR sets unused outputs to −inf before its softmax; leaving them out is the same.
        for name in ("encoder.head.weight", "encoder.head.bias"):
            if name in weights:
                weights[name] = weights[name][used]

    model = Emotion2vec(config, len(labels))
    _fill(model, weights)
    files = {name: sha256_of(path) for name, path in paths.items() if path.is_file()}
    return Checkpoint(document, config, labels, model.eval(), files)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``model.pt``, under FunASR's names and without wrappers' prefixes.

    Nothing in the file is executed: ``weights_only`` unpickling knows tensors and plain containers,
    and objects of any other class (a trainer's arguments, say) become empty placeholders.
    """
    try:
        # The format of before torch 1.6, which is no zip file, can be read and not be listed.
        foreign = (
            torch.serialization.get_unsafe_globals_in_checkpoint(path)
            if zipfile.is_zipfile(path)
            else []
        )
        placeholders: list[Any] = [
            (type("Placeholder", (_Placeholder,), {}), name) for name in foreign
        ]
        with torch.serialization.safe_globals(placeholders), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickle protocols; what cannot be read is an error
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError,
        TypeError, IndexError, OSError,
    ) as error:  # fmt: skip
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not a torch checkpoint, or a damaged one ({detail})"
        ) from None
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
    return {_without_prefix(name): tensor for name, tensor in tensors.items()}


class _Placeholder:
    """Stands for an object of a class that is not loaded; takes anything and keeps nothing."""

    def __new__(cls, *_args: object, **_kwargs: object) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _value: object) -> None: ...

    def extend(self, _values: object) -> None: ...


def funasr_names(config: ModelConfig) -> dict[str, str]:
    """Our parameter names → FunASR's, for one architecture."""
    names: dict[str, str] = {}

    def pair(ours: str, theirs: str) -> None:
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = f"{theirs}.{kind}"

    for i in range(len(config.conv_layers)):
        layer = f"{_AUDIO}local_encoder.conv_layers.{i}"
        names[f"frontend.convs.{i}.conv.weight"] = f"{layer}.0.weight"
        pair(f"frontend.convs.{i}.norm", f"{layer}.2.1")
    pair("frontend.norm", f"{_AUDIO}project_features.1")
    pair("frontend.project", f"{_AUDIO}project_features.2")

    positional = f"{_AUDIO}relative_positional_encoder"
    if config.conv_pos_pre_ln:
        pair("encoder.positional.pre_norm", f"{positional}.0")
        positional += ".1"
    for i in range(config.conv_pos_depth):
        pair(f"encoder.positional.convs.{i}", f"{positional}.{i + 1}.0")

    names["encoder.extra_tokens"] = f"{_AUDIO}extra_tokens"
    names["encoder.alibi_scale"] = f"{_AUDIO}alibi_scale"
    pair("encoder.prenet_norm", f"{_AUDIO}context_encoder.norm")
    stacks = (
        ("encoder.prenet", f"{_AUDIO}context_encoder.blocks", config.prenet_depth),
        ("encoder.blocks", "blocks", config.depth),
    )
    for ours, theirs, depth in stacks:
        for i in range(depth):
            for part, funasr_part in (
                ("norm1", "norm1"), ("norm2", "norm2"), ("attn.qkv", "attn.qkv"),
                ("attn.proj", "attn.proj"), ("fc1", "mlp.fc1"), ("fc2", "mlp.fc2"),
            ):  # fmt: skip
                pair(f"{ours}.{i}.{part}", f"{theirs}.{i}.{funasr_part}")
    pair("encoder.norm", "norm")
    pair("encoder.head", "proj")
    return names


def _without_prefix(name: str) -> str:
    while True:
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name = name[len(prefix) :]
                break
        else:
            return name


def _our_names(weights: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    ours = {theirs: our for our, theirs in funasr_names(config).items()}
    unknown = [name for name in weights if name not in ours and not IGNORED.match(name)]
    if unknown:
        raise CheckpointError(
            f"model.pt has weights that this architecture does not: {_listed(unknown)}; "
            "does config.yaml belong to it?"
        )
    renamed = {ours[name]: tensor.float() for name, tensor in weights.items() if name in ours}
    scale = renamed.get("encoder.alibi_scale")
    if scale is not None and scale.dim() == 4:  # FunASR's upgrade_state_dict_named
        renamed["encoder.alibi_scale"] = scale.unsqueeze(0)
    return renamed


def _fill(model: Emotion2vec, weights: Mapping[str, Tensor]) -> None:
    """Load weights under our names; whatever is missing, left over or misshapen is listed."""
    theirs = funasr_names(model.config)
    expected = model.state_dict()
    # Zero extra tokens is an empty parameter of ours and no parameter at all of FunASR's.
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


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def read_yaml(path: Path) -> Any:
    """A YAML file as a document; CheckpointError if it is none."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: not readable as YAML: {error}") from None


def _read_labels(path: Path, outputs: int) -> tuple[tuple[Label, ...], list[int]]:
    """The labels of ``tokens.txt`` and which outputs of the head they are."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: missing; model.pt has a head of {outputs} outputs, and their names are there"
        )
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(lines) != outputs:
        raise CheckpointError(f"{path}: {len(lines)} labels for a head of {outputs} outputs")
    used = [i for i, line in enumerate(lines) if not line.startswith("unuse")]
    labels = tuple(parse_label(lines[i]) for i in used)
    ids = [label.id for label in labels]
    if len(set(ids)) < len(ids):
        raise CheckpointError(f"{path}: a label occurs twice among {', '.join(ids)}")
    return labels, used


def parse_label(line: str) -> Label:
    """``生气/angry`` → id ``angry`` shown as 生气; ``<unk>`` → ``unknown``."""
    display, _, english = line.rpartition("/")
    if english == "<unk>":
        return Label("unknown", "unknown")
    return Label(english, display or english)


def fingerprint(files: Mapping[str, str]) -> str:
    """One sha256 for all files of a checkpoint."""
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def write_checkpoint(
    folder: Path, config: Mapping[str, Any], model: Emotion2vec, tokens: Sequence[str]
) -> None:
    """Write a checkpoint folder that FunASR and :func:`load_checkpoint` read.

    Args:
        folder: an existing folder.
        config: the document of ``config.yaml``, with all the fields that FunASR wants.
        model: the weights.
        tokens: lines of ``tokens.txt``, in the order of the head's outputs.
    """
    names = funasr_names(model.config)
    weights = {
        names[name]: tensor
        for name, tensor in model.state_dict().items()
        if tensor.numel()  # zero extra tokens have no parameter in FunASR
    }
    text = yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    (folder / "tokens.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    torch.save({"model": weights}, folder / "model.pt")

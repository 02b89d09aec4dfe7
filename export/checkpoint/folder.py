"""A FunASR checkpoint folder: ``config.yaml``, ``model.pt`` and, with a head, ``tokens.txt``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.bundle.manifest import Label
from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.engine.files import printable, read_regular, write_file

from ..model.config import ModelConfig
from ..model.emotion2vec import Emotion2vec
from .config import read_config
from .labels import HeadLabels, read_labels
from .names import funasr_names
from .saving import save_torch
from .weights import filled, read_weights, renamed

CONFIG = "config.yaml"
WEIGHTS = "model.pt"
TOKENS = "tokens.txt"

MOST_YAML_BYTES = 64 << 10
"""Bytes of a ``config.yaml``. Published ones have 4 kB, and PyYAML reads 50 kB a second."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    document: Mapping[str, Any]
    """The content of its ``config.yaml``."""
    config: ModelConfig
    labels: tuple[Label, ...]
    """Emotions in the order of the head's outputs; empty for a model without a head."""
    model: Emotion2vec
    files: Mapping[str, str]
    """File name → sha256 of each file that was read."""


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a FunASR checkpoint folder.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights do not fit the config.
        UnsupportedConfigError: the config asks for something that is not supported.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; a checkpoint is a folder with {WEIGHTS}")
    paths = {name: folder / name for name in (CONFIG, WEIGHTS, TOKENS)}
    for name in (CONFIG, WEIGHTS):
        if not paths[name].is_file():
            kind = "not a file" if paths[name].exists() else "missing"
            raise CheckpointError(f"{folder}: {name} is {kind}; FunASR checkpoints have one")
    document = read_yaml(paths[CONFIG])
    config = read_config(document)
    weights = renamed(read_weights(paths[WEIGHTS]), config)

    head = HeadLabels((), ())
    if "encoder.head.weight" in weights:
        head = read_labels(paths[TOKENS], weights["encoder.head.weight"].shape[0])
        for name in ("encoder.head.weight", "encoder.head.bias"):
            if name in weights:
                weights[name] = weights[name][list(head.outputs)]

    model = filled(config, len(head.labels), weights)
    files = {name: sha256_of(path) for name, path in paths.items() if path.is_file()}
    return Checkpoint(document, config, head.labels, model, files)


def read_yaml(path: Path) -> Any:
    """The document in a YAML file.

    Raises:
        CheckpointError: it cannot be read, is larger than :data:`MOST_YAML_BYTES`, or is not YAML.
    """
    try:
        text = read_regular(path, MOST_YAML_BYTES).decode("utf-8")
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except (
        yaml.YAMLError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:  # fmt: skip - PyYAML raises all of these, such as for !!timestamp x
        detail = getattr(error, "strerror", None) or str(error)[:500]
        raise CheckpointError(
            f"{printable(str(path))}: not readable as YAML: {type(error).__name__}: {detail}"
        ) from None


class _Loader(yaml.SafeLoader):
    """The loader of plain documents without merge keys.

    A merge of merges doubles a mapping at each level, so that a kilobyte fills any memory.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys, ``<<``."""
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, "merge keys (<<) are not supported", key.start_mark
                )


def write_checkpoint(
    folder: Path, document: Mapping[str, Any], model: Emotion2vec, tokens: Sequence[str]
) -> None:
    """Write a checkpoint that FunASR and :func:`load_checkpoint` read; no file is half-written.

    Args:
        folder: an existing folder.
        document: the content of ``config.yaml``, with all the fields that FunASR requires.
        model: the weights.
        tokens: lines of ``tokens.txt``, in the order of the head's outputs.
    """
    names = funasr_names(model.config)
    weights = {
        names[name]: tensor.cpu()
        for name, tensor in model.state_dict().items()
        if tensor.numel()  # zero extra tokens have no parameter in FunASR
    }
    text = yaml.safe_dump(dict(document), allow_unicode=True, sort_keys=False)
    write_file(folder / CONFIG, text.encode())
    write_file(folder / TOKENS, "".join(f"{token}\n" for token in tokens).encode())
    save_torch({"model": weights}, folder / WEIGHTS)

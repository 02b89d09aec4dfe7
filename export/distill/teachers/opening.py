"""The kind of a teacher, found by its files or its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from emotion2vec_edge.engine.bundle.locate import embedded_names
from emotion2vec_edge.engine.bundle.manifest import MANIFEST
from emotion2vec_edge.engine.errors import CheckpointError, OptionError
from emotion2vec_edge.engine.files import printable

from ...checkpoint import folder as checkpoint_folder
from ...hub import FILES, Hub, resolve
from .base import Teacher
from .emotion2vec import BundleTeacher, CheckpointTeacher
from .whisper import CONFIG, LICENCE, WEIGHTS, load_whisper


def open_teacher(
    source: str,
    layers: Sequence[int] | None,
    device: torch.device,
    *,
    hub: Hub = "hf",
    offline: bool = False,
) -> Teacher:
    """Find a teacher and read it; nothing of it is executed.

    Args:
        source: a folder, the name of an embedded bundle, or a hub id such as
            ``openai/whisper-base`` or ``iic/emotion2vec_plus_large``.
        layers: the layers of a Whisper to teach; None takes the later half.
        device: where it runs.
        hub: Hugging Face or ModelScope, for a hub id.
        offline: use files on this machine only.

    Raises:
        CheckpointError: there is none, or it cannot be read.
        HubError: the hub could not serve it.
        OptionError: its frames do not fit, or it has no such layers.
    """
    path = Path(source).expanduser()
    if (path / MANIFEST).is_file() or (source in embedded_names() and not path.exists()):
        _refuse_layers(source, layers)
        return BundleTeacher(path if path.exists() else source, device)
    found = resolve(source, hub=hub, offline=offline, files=(*FILES, CONFIG, WEIGHTS, LICENCE))
    if (found.folder / checkpoint_folder.WEIGHTS).is_file():
        _refuse_layers(source, layers)
        return CheckpointTeacher(found.folder, printable(found.name), device)
    if (found.folder / CONFIG).is_file():
        name = found.name if found.origin == "local" else found.origin.partition(":")[2]
        return load_whisper(found.folder, printable(name), layers, device)
    raise CheckpointError(
        f"{printable(source)}: no teacher; one is a bundle ({MANIFEST}), a FunASR checkpoint "
        f"({checkpoint_folder.WEIGHTS}), or a Whisper encoder in Hugging Face's format ({CONFIG} "
        f"and {WEIGHTS})"
    )


def _refuse_layers(source: str, layers: Sequence[int] | None) -> None:
    if layers is not None:
        raise OptionError(
            f"--teacher-layers is for Whisper; {printable(source)} teaches its final frames"
        )

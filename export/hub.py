"""The origin of a checkpoint: a local folder or a model hub.

A local path needs no network. A hub id is fetched into the cache of the hub's library, which
resumes downloads that were cut off, and the revision that was fetched is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import click

from emotion2vec_edge.engine.bundle.hub import fetch_snapshot
from emotion2vec_edge.engine.bundle.hub_name import HubName
from emotion2vec_edge.engine.errors import CheckpointError, HubError, MissingExtraError

Hub = Literal["hf", "ms"]
"""Hugging Face or ModelScope."""

hub_option = click.option(
    "--hub",
    type=click.Choice(get_args(Hub)),
    default="hf",
    show_default=True,
    help="Fetch a hub id from Hugging Face or from ModelScope.",
)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
FILES = ("config.yaml", "model.pt", "tokens.txt")
"""Files of a FunASR checkpoint."""

OWNERS: Mapping[Hub, str] = {"hf": "emotion2vec", "ms": "iic"}
"""Hub → owner of emotion2vec's published models on it."""


@dataclass(frozen=True)
class Source:
    """A checkpoint folder on disk, and its origin."""

    folder: Path
    name: str
    origin: str
    """The hub id with its hub, or ``local``."""
    revision: str | None
    """Commit of the hub's repository; None for a local folder, or if the hub does not tell."""


def resolve(
    source: str,
    *,
    hub: Hub = "hf",
    revision: str | None = None,
    offline: bool,
    files: Sequence[str] = FILES,
) -> Source:
    """Find or fetch a checkpoint.

    Args:
        source: a folder, or a hub id such as ``iic/emotion2vec_plus_large``.
        hub: ``hf`` (huggingface_hub) or ``ms`` (modelscope).
        revision: commit, branch or tag; None takes the hub's newest, and records its commit.
        offline: use files on this machine only.
        files: the files to fetch, as far as the repository has them.

    Raises:
        CheckpointError: neither a folder nor a hub id.
        HubError: the hub could not serve it.
        MissingExtraError: the hub's library is not installed.
    """
    path = Path(source).expanduser()
    if path.exists():
        return Source(path, path.resolve().name, "local", None)
    if not HUB_ID.fullmatch(source):
        raise CheckpointError(
            f"{source}: no such folder, and not a hub id such as iic/emotion2vec_plus_large"
        )
    owner, name = source.split("/")
    if owner in OWNERS.values():
        owner = OWNERS[hub]
    fetch = _from_huggingface if hub == "hf" else _from_modelscope
    folder, commit = fetch(f"{owner}/{name}", revision, offline, files)
    return Source(folder, name, f"{hub}:{owner}/{name}", commit)


def _from_huggingface(
    model: str, revision: str | None, offline: bool, files: Sequence[str]
) -> tuple[Path, str | None]:
    folder = fetch_snapshot(HubName(model, revision), files, offline=offline)
    return folder, folder.name  # the cache lays a snapshot under its commit


def _from_modelscope(
    model: str, revision: str | None, offline: bool, files: Sequence[str]
) -> tuple[Path, str | None]:
    try:
        import modelscope
    except ImportError:
        raise MissingExtraError(
            "modelscope is needed to fetch from its hub: pip install modelscope"
        ) from None
    try:
        folder = modelscope.snapshot_download(
            model, revision=revision, allow_patterns=list(files), local_files_only=offline
        )
    except Exception as error:  # its HTTP, OS and validation errors share no base
        raise _failed(model, offline, error) from error
    return Path(folder), revision  # it does not tell the commit of a branch


def _failed(model: str, offline: bool, error: Exception) -> HubError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
    way_out = (
        "it is not in the local cache; run once without --offline"
        if offline
        else "check the name and the network, or give the folder of a copy"
    )
    return HubError(f"{model}: cannot be fetched from ModelScope ({reason}); {way_out}")

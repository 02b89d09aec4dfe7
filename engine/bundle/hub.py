"""Models on Hugging Face's hub: fetched into the cache of its client, and bundles sent there.

The client, huggingface_hub, is imported when a name of the hub is used. Its own environment
variables hold: ``HF_HOME``, ``HF_TOKEN``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import BundleNotFoundError, E2VError, HubError, MissingExtraError
from .bundle import Bundle
from .hub_name import HubName
from .integrity import verify_files
from .manifest import CARD, MANIFEST, BundleFile, Manifest
from .schema import read_manifest

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_CACHED = "it is not in the local cache; run once without --offline and HF_HUB_OFFLINE"


def fetch_bundle(name: HubName, *, offline: bool = False, manifest_only: bool = False) -> Path:
    """Fetch a bundle, unless the cache has it.

    All files are of the commit that ``bundle.json`` was read from. A commit that the cache has is
    not asked for; of a branch, the cached copy serves when the client has tried in vain. The
    checksums are compared when a file is used, as those of any bundle.

    Args:
        name: its repository.
        offline: use the cache only.
        manifest_only: fetch ``bundle.json`` and the card, and no graphs.

    Returns:
        its folder in the cache.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        HubError: the hub does not serve it, or the cache does not have it.
        BundleNotFoundError: the repository holds no bundle.
        BundleFormatError: its manifest cannot be used.
    """
    hub = hub_client()
    local = offline or bool(hub.constants.HF_HUB_OFFLINE)
    if not local and _COMMIT.fullmatch(name.revision or ""):
        with contextlib.suppress(HubError):
            return fetch_bundle(name, offline=True, manifest_only=manifest_only)
    try:
        path = Path(
            hub.hf_hub_download(
                name.repository, MANIFEST, revision=name.revision, local_files_only=local
            )
        )
    except Exception as error:  # its HTTP, OS and validation errors share no base
        raise _unfetched(hub, name, error, offline=local) from error
    files = [] if manifest_only else [file.path for file in bundle_files(read_manifest(path))]
    # The cache lays a snapshot under its commit: …/snapshots/COMMIT/bundle.json
    commit = HubName(name.repository, path.parent.name)
    folder = fetch_snapshot(commit, [CARD, *files], offline=local)
    if local and not all((folder / file).is_file() for file in files):
        raise HubError(f"{name}: {_NOT_CACHED}")
    return folder


def fetch_snapshot(name: HubName, files: Iterable[str], *, offline: bool) -> Path:
    """Fetch the named files of a repository, so far as it has them, into the client's cache.

    Returns:
        the folder, which has the name of the commit.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        HubError: the hub does not serve them, or the cache does not have them.
    """
    hub = hub_client()
    offline = offline or bool(hub.constants.HF_HUB_OFFLINE)
    try:
        folder = hub.snapshot_download(
            name.repository,
            revision=name.revision,
            allow_patterns=list(files),
            local_files_only=offline,
        )
    except Exception as error:  # as above
        raise _unfetched(hub, name, error, offline=offline) from error
    return Path(folder)


def push_bundle(
    bundle: Bundle, name: HubName, card: str, *, private: bool, message: str | None = None
) -> str:
    """Send a bundle to the hub, in one commit: nobody sees a part of it.

    Files of a bundle that lies there already, and that this one does not have, are removed.

    Args:
        bundle: the bundle; its files are first compared with their checksums.
        name: its repository, which is made if there is none; the revision is a branch.
        card: text of its model card.
        private: make a new repository private.
        message: subject of the commit.

    Returns:
        address of the commit.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        BundleTamperedError, BundleFormatError: a file differs from its checksum.
        HubError: the hub does not take it.
    """
    hub = hub_client()
    manifest = bundle.manifest
    files = bundle_files(manifest)
    verify_files(bundle.folder, files)
    new = {file.path: bundle.folder / file.path for file in files}
    content: dict[str, Any] = {**new, MANIFEST: bundle.folder / MANIFEST, CARD: card.encode()}
    try:
        api = hub.HfApi()
        api.create_repo(name.repository, private=private, exist_ok=True)
        if name.revision:
            api.create_branch(name.repository, branch=name.revision, exist_ok=True)
        there = set(api.list_repo_files(name.repository, revision=name.revision))
        stale = (_pushed_files(hub, name) & there if MANIFEST in there else set()) - content.keys()
        commit = api.create_commit(
            name.repository,
            operations=[
                *(hub.CommitOperationDelete(path) for path in sorted(stale)),
                *(
                    hub.CommitOperationAdd(path, str(file) if isinstance(file, Path) else file)
                    for path, file in content.items()
                ),
            ],
            commit_message=message or f"Bundle {manifest.name}",
            revision=name.revision,
        )
    except E2VError:
        raise
    except Exception as error:  # as above
        raise HubError(f"{name}: cannot be sent to the hub: {_reason(hub, error)}") from error
    return str(commit.commit_url)


def bundle_files(manifest: Manifest) -> tuple[BundleFile, ...]:
    """Every file that a manifest lists."""
    listed = [file for variant in manifest.variants.values() for file in variant.files]
    if manifest.head is not None:
        listed.append(manifest.head)
    if manifest.space is not None:
        listed.append(manifest.space.file)
    return tuple(listed)


def hub_client() -> Any:
    """The module huggingface_hub, quiet unless a person watches.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        hub: Any = importlib.import_module("huggingface_hub")
        utils: Any = importlib.import_module("huggingface_hub.utils")
    except ImportError:
        raise MissingExtraError(
            "models on Hugging Face's hub need huggingface_hub: pip install 'emotion2vec-edge[hub]'"
        ) from None
    if not sys.stderr.isatty():
        utils.disable_progress_bars()
    return hub


def _pushed_files(hub: Any, name: HubName) -> set[str]:
    """Files of the bundle that a repository holds; none if its manifest is not read here."""
    try:
        path = hub.hf_hub_download(name.repository, MANIFEST, revision=name.revision)
        return {file.path for file in bundle_files(read_manifest(Path(path)))}
    except E2VError:
        return set()


def _unfetched(hub: Any, name: HubName, error: Exception, *, offline: bool) -> E2VError:
    """The error of ours for one of the client's."""
    if isinstance(error, E2VError):
        return error
    kinds = hub.utils
    # Two of the kinds are subclasses of others: the narrow ones come first.
    if isinstance(error, kinds.LocalEntryNotFoundError):
        way_out = (
            _NOT_CACHED
            if offline
            else "the hub cannot be reached, and the local cache does not have it"
        )
        return HubError(f"{name}: {way_out}")
    if isinstance(error, kinds.EntryNotFoundError):
        return BundleNotFoundError(
            f"{name}: not a model bundle, the repository has no {MANIFEST}; 'e2v push' sends "
            "bundles there, 'e2v export' makes them of checkpoints"
        )
    return HubError(f"{name}: cannot be fetched from the hub: {_reason(hub, error)}")


def _reason(hub: Any, error: Exception) -> str:
    """The reason of an error of the client in one line, with the way out."""
    kinds = hub.utils
    while isinstance(error.__cause__, Exception) and isinstance(error, RuntimeError):
        error = error.__cause__  # an upload's error says which file, and not why
    reasons: Mapping[type[Exception], str] = {
        kinds.GatedRepoError: "its owner gives access on request; ask there, and set HF_TOKEN",
        kinds.RepositoryNotFoundError: "there is no such repository, or it is private; check the "
        "name, or set HF_TOKEN ('hf auth login' does)",
        kinds.RevisionNotFoundError: "there is no such branch, tag or commit",
    }
    for kind, reason in reasons.items():
        if isinstance(error, kind):
            return reason
    if getattr(getattr(error, "response", None), "status_code", None) in (401, 403):
        return "access refused; set HF_TOKEN to a token that may do this ('hf auth login' does)"
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{first[:300]}; check the network and HF_ENDPOINT"

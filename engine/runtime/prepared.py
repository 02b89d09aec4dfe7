"""Files prepared ahead of time for one variant of a model on one machine, in the cache folder.

``e2v warmup`` has a provider make them. They are keyed by all that they depend on::

    prepared/SHA256/PROVIDER-DIGEST/    of the variant's files; of versions, processor or GPU
      ready.json                        names the folder that is valid, and its files' checksums
      XXXXXXXX/                         frontend.onnx … or engines

A new folder is written beside the valid one, and ``ready.json`` is then replaced, so that nothing
half-made is ever seen and no file changes that another process has mapped. The files of an entry
are compared with their checksums when it is opened, as those of a bundle are: again only if a file
has changed since. To delete it all costs the time to make it again, and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..bundle.bundle import Bundle
from ..bundle.integrity import sha256_of, verify_files
from ..bundle.manifest import BundleFile
from ..display import size
from ..errors import ModelError
from ..files import cache_folder, read_regular, reported, write_file
from ..settings import Precision

try:
    import fcntl
except ImportError:  # Windows: two processes at once both prepare, and the last one stays
    fcntl = None  # type: ignore[assignment]

READY = "ready.json"
MOST_READY_BYTES = 1 << 20
UNFINISHED = "unfinished"
"""Folder of a preparation that may be continued."""


@dataclass(frozen=True)
class PreparedEntry:
    """Place of the files that one provider prepares for a variant on this machine."""

    folder: Path
    model: str
    """Digest of the variant's files."""
    facts: Mapping[str, str]
    """Everything else that the files depend on."""
    volatile: str = ""
    """Pattern of files that may change later."""

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        precision: Precision,
        provider: str,
        facts: Mapping[str, str],
        volatile: str = "",
    ) -> PreparedEntry:
        """The entry of a variant.

        Raises:
            OSError: there is no cache folder.
        """
        name = f"{provider}-{digest(sorted(facts.items()))[:16]}"
        model = _model_digest(bundle, precision)
        return cls(model_folder(bundle, precision) / name, model, facts, volatile)

    def find(self) -> Path | None:
        """Folder of the files, if they are complete and were made for this model and machine."""
        try:
            document = json.loads(read_regular(self.folder / READY, MOST_READY_BYTES))
            if document["facts"] != self.facts or document["model"] != self.model:
                return None
            content = self.folder / Path(document["folder"]).name
            verify_files(content, [BundleFile(**file) for file in document["files"]])
        except (
            OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ModelError,
        ):  # fmt: skip
            return None
        return content

    def make(self, build: Callable[[Path], None], *, resume: bool = False) -> None:
        """Prepare the files, unless they are there.

        Args:
            build: writes them into an empty folder.
            resume: keep the files of a build that failed or was stopped, for the next one.

        Raises:
            OutputError: they cannot be written.
        """
        if self.find() is not None:
            return
        with reported(self.folder), self._locked():
            if self.find() is not None:  # another process has made them meanwhile
                return
            try:
                self._build(build, resume=resume)
            finally:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()  # if nothing was kept

    def _build(self, build: Callable[[Path], None], *, resume: bool) -> None:
        content = self.folder / os.urandom(4).hex()
        target = self.folder / UNFINISHED if resume else content
        target.mkdir(parents=True, exist_ok=resume)
        try:
            build(target)
            if resume:
                target.rename(content)
            self._seal(content)
        except BaseException:
            if not resume:
                shutil.rmtree(content, ignore_errors=True)
            raise
        for old in self.folder.iterdir():
            if old.is_dir() and old != content:
                shutil.rmtree(old, ignore_errors=True)
            elif old.name not in (READY, content.name):  # of a process that was killed
                old.unlink(missing_ok=True)

    def _seal(self, content: Path) -> None:
        """Declare a folder valid."""
        volatile = set(content.glob(self.volatile)) if self.volatile else set()
        files = [
            dataclasses.asdict(BundleFile(file.name, file.stat().st_size, sha256_of(file)))
            for file in sorted(content.iterdir())
            if file not in volatile
        ]
        document = {
            "facts": dict(self.facts), "model": self.model, "folder": content.name, "files": files,
        }  # fmt: skip
        # The declaration so far is not valid, and may be a pipe, which would be written to.
        (self.folder / READY).unlink(missing_ok=True)
        write_file(self.folder / READY, json.dumps(document, indent=2).encode())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from preparing the same model meanwhile."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            yield
            return
        lock = os.open(self.folder.parent, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a network disk without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def model_folder(bundle: Bundle, precision: Precision) -> Path:
    """Folder of everything that is prepared for a variant.

    Raises:
        OSError: there is no cache folder.
    """
    return cache_folder() / "prepared" / _model_digest(bundle, precision)[:16]


def _model_digest(bundle: Bundle, precision: Precision) -> str:
    return digest(sorted(file.sha256 for file in bundle.variant(precision).files))


def digest(document: object) -> str:
    """Hex digest of a JSON document."""
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir())


def free_space(folder: Path) -> str:
    """Free space on the disk of a folder, for messages."""
    return f"{size(shutil.disk_usage(folder).free)} are free there"

"""What is made ready ahead of time for one variant of a model on one machine.

On the CPU that is the graphs as ONNX Runtime optimizes and packs them for this processor: they load
in half the time, and their weights are mapped from the file, so that several processes share them.
For TensorRT it is the engines, which take minutes to build. ``e2v warmup`` makes it, and it lies in
the cache folder, keyed by all that it depends on::

    prepared/SHA256/PROVIDER-DIGEST/    of the variant's files; of versions, processor or GPU
      frontend.onnx … or engines
      ready.json                        written last: what all of it was made of, and its files

Deleting it costs the time to make it again, and nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..bundle.bundle import Bundle
from ..bundle.head import Head
from ..bundle.manifest import GRAPHS, AudioContract
from ..display import size
from ..errors import BundleFormatError, OutputError, ProviderError
from ..files import cache_folder, write_file
from ..settings import Precision
from .batched import BatchedModel, Device
from .chunking import Chunking
from .hardware import cpu_flags, find_gpu, tensorrt_version
from .model import Model, noise
from .providers import CPU, CUDA, TENSORRT, Provider
from .session import SessionConfig, import_onnxruntime
from .tensorrt import LONGEST, ROWS, engine_options, profile_options

READY = "ready.json"

TRIED_SECONDS = 2.0
"""Of noise, that what was made is tried with."""

GRAPH_OPTIONS = ("enable_cuda_graph", "trt_cuda_graph_enable")
"""Options of providers that record the kernels of a shape once, and then start them all at once."""


@dataclass(frozen=True)
class PreparedEntry:
    """Where it lies."""

    folder: Path
    facts: Mapping[str, str]
    """All that it depends on beside the files of the variant."""
    exact: bool = True
    """Whether a file must be as it was left. TensorRT checks its engines itself, and may write its
    caches again."""

    @property
    def ready(self) -> bool:
        """Whether it is whole and of today's facts."""
        try:
            document = json.loads((self.folder / READY).read_text(encoding="utf-8"))
            now = self._listing()
            files = document["files"].items() if self.exact else ()
            return (
                document["facts"] == self.facts
                and now.keys() >= document["files"].keys()
                and all(now[name] == seen for name, seen in files)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    @property
    def graphs(self) -> dict[str, Path]:
        """Paths of the packed graphs."""
        return {graph: self.folder / f"{graph}.onnx" for graph in GRAPHS}

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(size for size, _ in self._listing().values())

    def seal(self) -> None:
        """Declare it ready."""
        document = {"facts": dict(self.facts), "files": self._listing()}
        write_file(self.folder / READY, json.dumps(document, indent=2).encode())

    def _listing(self) -> dict[str, list[int]]:
        """Size and time of change of each file.

        The time in whole seconds: images of containers keep it so.
        """
        files = [file for file in sorted(self.folder.iterdir()) if file.name != READY]
        return {file.name: [file.stat().st_size, int(file.stat().st_mtime)] for file in files}


def entry_of(
    bundle: Bundle, precision: Precision, provider: Provider, running: SessionConfig
) -> PreparedEntry | None:
    """Where what is prepared of a variant lies, or would; None for a provider without any."""
    if provider not in (CPU, TENSORRT):
        return None
    facts = {"onnxruntime": str(import_onnxruntime().__version__)}
    if provider is CPU:
        facts["machine"] = platform.machine()
        facts["instructions"] = _digest(sorted(cpu_flags()))
    else:
        facts["tensorrt"] = str(tensorrt_version())
        facts["gpu"] = str(find_gpu(running.device))
        facts["options"] = json.dumps(
            {key: value for key, value in running.options.items() if key.startswith("trt_")},
            sort_keys=True,
        )
        facts["profiles"] = json.dumps(profile_options(bundle), sort_keys=True)
    name = f"{provider.name}-{_digest(sorted(facts.items()))}"
    return PreparedEntry(_folder_of(bundle, precision) / name, facts, provider is CPU)


def _folder_of(bundle: Bundle, precision: Precision) -> Path:
    """Where all lies that was prepared of a variant."""
    model = _digest(sorted(file.sha256 for file in bundle.variant(precision).files))
    return cache_folder() / "prepared" / model


def open_encoder(
    bundle: Bundle,
    precision: Precision,
    provider: Provider,
    running: SessionConfig,
    chunking: Chunking,
    head: Head,
) -> Model:
    """Open a variant on a provider, with what is prepared for it where there is any.

    Raises:
        ProviderError: as :func:`~.open_session`; and for TensorRT without its engines,
            because building them takes minutes, which nobody who loads a model expects.
        BundleFormatError: as :func:`~.open_session`.
    """
    graphs, audio = bundle.graphs(precision), bundle.manifest.audio
    place = None
    with contextlib.suppress(OSError):  # no home folder, or none that may be read: no cache
        # On a CPU most have prepared nothing, and need not ask what it is at every start.
        if provider is not CPU or _folder_of(bundle, precision).is_dir():
            place = entry_of(bundle, precision, provider, running)
    if place is not None and not place.ready:
        place = None
    if provider.device is None:
        if place is not None:
            packed = dataclasses.replace(running, packed=True)
            with contextlib.suppress(BundleFormatError):  # damaged: the bundle still serves
                return Model.open(place.graphs, audio, provider, packed, chunking, head)
        return Model.open(graphs, audio, provider, running, chunking, head)
    if provider is not TENSORRT:
        return _on_device(graphs, audio, provider, running, chunking, head)
    if place is None:
        raise ProviderError(
            f"{provider.name}: no engines are built yet for {bundle.manifest.name} {precision} "
            "with this GPU, these versions and options; 'e2v warmup --provider tensorrt' builds "
            "them, once, in some minutes"
        )
    running = _with_engines(bundle, precision, place, running)
    encoder = _on_device(graphs, audio, provider, running, chunking, head)
    beyond = None
    if chunking.seconds > LONGEST:
        own = {key: value for key, value in running.options.items() if key[:4] != "trt_"}
        on_cuda = SessionConfig(running.threads, own)
        beyond = _on_device(graphs, audio, CUDA, on_cuda, chunking, head)
    return dataclasses.replace(encoder, longest=LONGEST, most=ROWS, beyond=beyond)


def _on_device(
    graphs: Mapping[str, Path],
    audio: AudioContract,
    provider: Provider,
    running: SessionConfig,
    chunking: Chunking,
    head: Head,
) -> BatchedModel:
    encoder = BatchedModel.open(graphs, audio, provider, running, chunking, head)
    records = any(running.options.get(key) in ("1", "true", "True") for key in GRAPH_OPTIONS)
    return dataclasses.replace(
        encoder, device=Device(str(provider.device), running.device, records)
    )


def make_ready(
    bundle: Bundle, precision: Precision, provider: Provider, running: SessionConfig
) -> PreparedEntry | None:
    """Make ready what a variant needs on a provider, unless it is; None where nothing can be.

    Raises:
        ProviderError: the provider cannot serve, or what it made gives other answers.
        OutputError: it cannot be written.
    """
    place = entry_of(bundle, precision, provider, running)
    if place is None or place.ready:
        return place
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        (place.folder / READY).unlink(missing_ok=True)
        graphs, audio = bundle.graphs(precision), bundle.manifest.audio
        if provider is TENSORRT:
            built = _with_engines(bundle, precision, place, running)
            encoder = _on_device(graphs, audio, provider, built, Chunking(), Head())
            encoder.encode(noise(audio, TRIED_SECONDS))  # some versions build at the first run
        else:
            packing = dataclasses.replace(running, pack_into=place.folder)
            packed = dataclasses.replace(running, packed=True)
            try:
                encoders = (
                    Model.open(graphs, audio, provider, packing),
                    Model.open(place.graphs, audio, provider, packed),
                )
            except BundleFormatError as error:
                raise OutputError(
                    f"{place.folder}: the packed graphs could not be written and read again "
                    f"({_free(place.folder)})"
                ) from error
            _require_equal(*encoders, place.folder)
        place.seal()
    except BaseException as error:
        # A timing cache of TensorRT's is worth keeping; what is packed is not, unless it is whole.
        if provider is CPU:
            shutil.rmtree(place.folder, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise OutputError(f"{place.folder}: {error.strerror or error}") from None
        raise
    return place


def _with_engines(
    bundle: Bundle, precision: Precision, place: PreparedEntry, running: SessionConfig
) -> SessionConfig:
    own = profile_options(bundle)
    shared = engine_options(place.folder, precision)
    return dataclasses.replace(
        running, graph_options={graph: {**shared, **own[graph]} for graph in GRAPHS}
    )


def _require_equal(plain: Model, packed: Model, folder: Path) -> None:
    """ONNX Runtime does not say so when a disk is full, so what it wrote is tried."""
    heard = noise(plain.audio, TRIED_SECONDS)
    one, other = (encoder.encode(heard)[0] for encoder in (plain, packed))
    if not np.array_equal(one, other):
        raise ProviderError(
            f"{folder}: the packed graphs give other answers than the model, and are not kept "
            f"({_free(folder)})"
        )


def _free(folder: Path) -> str:
    return f"{size(shutil.disk_usage(folder).free)} are free there"


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:16]

"""Choose an ONNX Runtime execution provider, and prove that it is the one that runs.

``auto`` walks TensorRT → CUDA → CPU one tier at a time. A tier counts only when the session itself
reports it: ONNX Runtime falls back to the CPU by itself, and says so in a log at most. A provider
that was named and cannot serve is an error, never a silent CPU. Others than these three are taken
by name only, where the installed ONNX Runtime has them.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .. import telemetry
from ..errors import BundleFormatError, OptionError, ProviderError
from .denormals import denormals_as_zero
from .hardware import pinned_processors
from .providers import CPU, LADDER, NAMES, PROVIDERS, Provider

if TYPE_CHECKING:
    import onnxruntime

T = TypeVar("T")


@dataclass(frozen=True)
class SessionConfig:
    """How sessions run."""

    threads: int
    """Processors that one operator may use."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the provider, as ONNX Runtime names them: ``device_id``, ``gpu_mem_limit``, …"""
    profile: Path | None = None
    """Beginning of the names of the files that profiles are written to, if any are."""
    graph_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of the provider, for one graph or the other: shapes, caches."""
    pack_into: Path | None = None
    """File, or folder of the files, that graphs are written to as they run on this machine."""
    packed: bool = False
    """Whether the graphs are such files."""

    @property
    def device(self) -> int:
        """Number of the GPU; raises OptionError if that is none."""
        number = self.options.get("device_id", "0")
        if not number.isdecimal():
            raise OptionError(f"device_id is {number!r}; give the number of a GPU, from 0")
        return int(number)

    def of_graph(self, name: str) -> SessionConfig:
        """How the session of one graph runs."""
        own = self.graph_options.get(name, {})
        return replace(
            self,
            options={**own, **self.options},
            graph_options={},
            pack_into=self.pack_into and self.pack_into / f"{name}.onnx",
        )


@dataclass(frozen=True)
class Chosen(Generic[T]):
    """The tier that serves, and why the ones before it do not."""

    provider: Provider
    value: T
    skipped: tuple[str, ...]


def choose(name: str, open_tier: Callable[[Provider], T]) -> Chosen[T]:
    """Open the named provider, or the first of the ladder that can be opened.

    Args:
        name: ``auto``, or one of :data:`NAMES`.
        open_tier: opens the sessions of one tier; a ProviderError sends ``auto`` one tier down.

    Raises:
        ProviderError: the named provider, or every one, cannot serve.
        OptionError: no such provider.
    """
    if name not in ("auto", *NAMES):
        raise OptionError(f"provider {name!r} is not known; give auto, {', '.join(NAMES)}")
    tiers = LADDER if name == "auto" else [tier for tier in PROVIDERS if tier.name == name]
    skipped: list[str] = []
    for tier in tiers:
        try:
            require_available(tier)
            return Chosen(tier, open_tier(tier), tuple(skipped))
        except ProviderError as error:
            if name != "auto":
                raise
            skipped.append(str(error))
    raise ProviderError("no execution provider works: " + "; ".join(skipped))


def require_available(provider: Provider) -> None:
    """Check that the installed ONNX Runtime was built with a provider.

    Raises:
        ProviderError: it was not, or there is no ONNX Runtime.
    """
    ort = import_onnxruntime()
    available = ort.get_available_providers()
    if provider.ort_name not in available:
        raise ProviderError(
            f"{provider.name}: this build of onnxruntime {ort.__version__} has no "
            f"{provider.ort_name} (it has {', '.join(available)}); {provider.install}"
        )


def open_session(
    graph: Path | bytes, provider: Provider, running: SessionConfig
) -> onnxruntime.InferenceSession:
    """Open one graph on one provider, and check that it is there.

    Args:
        graph: path or content of an ONNX file.
        provider: the tier.
        running: threads, and what the user sets of the provider's options.

    Raises:
        ProviderError: the session could not be created there, or was created somewhere else.
        BundleFormatError: the graph itself is not a model that this ONNX Runtime reads.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = running.threads
    options.inter_op_num_threads = 1
    # Plans of memory are kept for each length of input that was met: 30 s of audio take 1.5 times
    # the memory with them, and are no faster.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # failures reach the user as our exceptions
    # Threads that spin take up the next operator sooner, but those of one session must not spin
    # while the other works: they stop when a run ends. Small work items even out the processors.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.dynamic_block_base", "4")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    if pinned := pinned_processors(running.threads):
        options.add_session_config_entry("session.intra_op_thread_affinities", pinned)
    if running.profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(running.profile)
    if running.packed:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if running.pack_into is not None:
        _pack(options, running.pack_into)
    if provider.library is not None:
        _preload(ort)
    own = {**provider.options, **running.options}
    content = graph if isinstance(graph, bytes) else str(graph)
    try:
        # On a failed provider ONNX Runtime prints to stdout, which belongs to results.
        # Denormals: what the session sets in this thread is taken back.
        with contextlib.redirect_stdout(sys.stderr), denormals_as_zero():
            session = ort.InferenceSession(
                content,
                options,
                providers=[(provider.ort_name, own), *provider.below] if own else [*provider.stack],
                # On the CPU the fused kernel is slower than the addition and the LayerNorm.
                disabled_optimizers=["SkipLayerNormFusion"] if provider is CPU else None,
            )
    except Exception as error:  # its exceptions have no common base but Exception
        if provider is CPU:
            name = "graph" if isinstance(graph, bytes) else graph
            raise BundleFormatError(
                f"{name}: onnxruntime {ort.__version__} cannot load it: {first_line(error)}"
            ) from error
        raise ProviderError(
            f"{provider.name}: onnxruntime {ort.__version__} could not create a session: "
            f"{first_line(error)}; {provider.install}"
        ) from error
    got = session.get_providers()
    if provider.ort_name not in got[:1]:
        why = missing_library(ort, provider) or (
            "most often because a library that it needs is missing"
        )
        raise ProviderError(
            f"{provider.name}: onnxruntime {ort.__version__} fell back to {', '.join(got)}: {why}; "
            f"{provider.install}"
        )
    return session


def _pack(options: Any, target: Path) -> None:
    """Have the optimized graph written, with weights beside it in the layout that kernels read."""
    options.optimized_model_filepath = str(target)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", f"{target.stem}.data"),
        ("session.optimized_model_external_initializers_min_size_in_bytes", "1024"),
        ("session.save_external_prepacked_constant_initializers", "1"),
    ):
        options.add_session_config_entry(key, value)


def _preload(ort: Any) -> None:
    """Load CUDA and cuDNN from NVIDIA's wheels, where they are installed; since 1.21."""
    if hasattr(ort, "preload_dlls"):
        # What it cannot find it prints; whether it was needed is seen at the session.
        with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(OSError):
            ort.preload_dlls()


def missing_library(ort: Any, provider: Provider) -> str | None:
    """Why a provider's own library cannot be loaded, as the system's loader says it."""
    if provider.library is None or not getattr(ort, "__file__", None):
        return None
    path = Path(ort.__file__).parent / "capi" / provider.library
    if not path.is_file():
        return f"{path.name} is not part of this build"
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return str(error)
    return None


def import_onnxruntime() -> Any:
    """The onnxruntime module.

    Raises:
        ProviderError: it is not installed, or is broken; the message says how to install it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError(
            f"onnxruntime cannot be imported ({error}); pip install 'emotion2vec-edge[cpu]', or "
            "[gpu] for NVIDIA; on a Jetson take NVIDIA's own wheel"
        ) from None
    if not hasattr(onnxruntime, "InferenceSession"):
        raise ProviderError(
            "onnxruntime is installed incompletely, which happens when two of its builds share a "
            "place: pip uninstall onnxruntime onnxruntime-gpu, then install one of them"
        )
    telemetry.warn_once(onnxruntime.__version__)
    return onnxruntime


def first_line(error: Exception) -> str:
    """What ONNX Runtime says, without the traces below it."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

"""ONNX Runtime: its import, the settings of a session, and the words of its errors."""

from __future__ import annotations

import functools
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from .. import telemetry
from ..errors import BundleFormatError, ProviderError
from .hardware import OtherWork, checked_threads, pinned_processors

Session: TypeAlias = Any
"""``onnxruntime.InferenceSession``, which has no types."""
Graph: TypeAlias = Path | bytes
"""Path or content of an ONNX file."""

_Values: TypeAlias = "tuple[tuple[str, str], ...]"

FLOAT = "tensor(float)"
_FRAMES = ("frames", FLOAT)

INTERFACES: Mapping[str, tuple[_Values, tuple[_Values, ...]]] = {
    "frontend": ((("waveform", FLOAT),), ((("features", FLOAT),),)),
    "encoder": (
        (("features", FLOAT), ("lengths", "tensor(int64)")),
        ((_FRAMES,), (_FRAMES, ("logits", FLOAT))),
    ),
}
"""Graph → names and types of its inputs, and of its outputs without and with a head."""


@dataclass(frozen=True)
class SessionConfig:
    """Settings of all sessions of a model."""

    threads: int
    """Processors that one operator may use."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The user's options of the provider, by ONNX Runtime's names: ``device_id``, …"""
    profile: Path | None = None
    """Prefix of the files that profiles are written to; None for no profiles."""
    others: OtherWork | None = None
    """Other processes, to which sessions leave the processors that they keep busy; None takes
    ``threads`` processors always."""

    @classmethod
    def of(cls, threads: int | None, options: Mapping[str, str]) -> SessionConfig:
        """Settings with a number of threads, or with as many as there are free processors.

        Raises:
            OptionError: a number outside of 1 to 1024.
        """
        others = OtherWork() if threads is None else None
        return cls(checked_threads(threads), options, others=others)


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
            "folder: pip uninstall onnxruntime onnxruntime-gpu, then install one of them"
        )
    telemetry.warn_once(onnxruntime.__version__)
    _print_to_stderr()
    return onnxruntime


@functools.cache
def _print_to_stderr() -> None:
    """Give the Python modules of ONNX Runtime a ``print`` that writes to stderr.

    They print failures of a provider to stdout, which belongs to results. To replace ``sys.stdout``
    meanwhile would misdirect what other threads print.
    """

    def print_to_stderr(*values: object, **_options: object) -> None:
        if sys.stderr is not None:  # closed, there is no place but stdout
            print(*values, file=sys.stderr)  # noqa: T201

    for name in ("onnxruntime", "onnxruntime.capi.onnxruntime_inference_collection"):
        vars(sys.modules[name])["print"] = print_to_stderr


def session_options(config: SessionConfig) -> Any:
    """``onnxruntime.SessionOptions`` for one session."""
    options = import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    # A memory plan is kept for each input length that has occurred: 30 s of audio take 1.5 times
    # the memory with them, and are no faster.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # failures reach the user as our exceptions
    # Threads that spin take up the next operator sooner, but those of one session must not spin
    # while the other works: they stop when a run ends. Small work items even out the processors.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.dynamic_block_base", "4")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    # x86 before VNNI adds two uint8 × int8 products in sixteen bits, which overflow. This lets it
    # compute with weights of uint8 instead, which is exact. Other processors take no notice.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if pinned := pinned_processors(config.threads):
        options.add_session_config_entry("session.intra_op_thread_affinities", pinned)
    if config.profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(config.profile)
    return options


def graph_content(graph: Graph) -> str | bytes:
    """A graph as a session takes it: its content, or the path of a regular file.

    Raises:
        BundleFormatError: the path is not that of a regular file; to read a pipe might never end.
    """
    if isinstance(graph, bytes):
        return graph
    try:
        regular = stat.S_ISREG(graph.stat().st_mode)
    except OSError as error:
        raise BundleFormatError(f"{graph}: cannot be read: {error.strerror}") from None
    if not regular:
        raise BundleFormatError(f"{graph}: not a regular file; copy or export the bundle again")
    return str(graph)


def require_interface(session: Session, name: str, graph: Graph) -> None:
    """Check that an opened graph takes and gives what models run it with.

    Args:
        session: the opened graph.
        name: ``frontend`` or ``encoder``.
        graph: its path or content, for the message.

    Raises:
        BundleFormatError: other inputs, outputs or types.
    """
    inputs, outputs = INTERFACES[name]
    taken = tuple((value.name, value.type) for value in session.get_inputs())
    given = tuple((value.name, value.type) for value in session.get_outputs())
    if taken != inputs or given not in outputs:
        path = "graph" if isinstance(graph, bytes) else graph
        raise BundleFormatError(
            f"{path}: not the {name} of a model: it takes {list(taken)} and gives {list(given)}"
        )


@contextmanager
def run_errors(shape: tuple[int, ...]) -> Iterator[None]:
    """Turn a failure of ONNX Runtime in the block into a ProviderError.

    Args:
        shape: of the input, for the message.
    """
    try:
        yield
    except Exception as error:  # its exceptions have no common base but Exception
        raise ProviderError(
            f"onnxruntime failed on an input of shape {list(shape)}: {first_line(error)}; if "
            "memory ran out, give shorter --chunk-seconds"
        ) from error


def first_line(error: Exception) -> str:
    """The message of ONNX Runtime without the traces below it."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

"""The processor, by ONNX Runtime's own kernels."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...bundle.bundle import Bundle
from ...bundle.manifest import GRAPHS
from ...errors import BundleFormatError, OptionError, OutputError, ProviderError
from ...settings import Precision
from ..hardware import cpu_flags
from ..model import Model, SelectedVariant, noise
from ..prepared import PreparedEntry, digest, free_space, model_folder
from ..sequential import SequentialModel
from ..session import Session, SessionConfig, import_onnxruntime, session_options
from .adaptive import adaptive_sessions
from .base import CPU_ORT_NAME, Provider

CHECK_SECONDS = 2.0
"""Seconds of noise used to check the prepared graphs."""


class CpuProvider(Provider):
    """The processor.

    It prepares the graphs as ONNX Runtime optimizes and packs them for this processor: they load in
    half the time, and their weights are mapped from the file, so that processes share them.
    """

    name = "cpu"
    ort_name = CPU_ORT_NAME
    below = ()
    precisions = ("int8", "fp32")
    install = "pip install onnxruntime"

    def require_precision(self, precision: Precision, bundle: Bundle) -> None:
        """Every variant runs on the processor."""

    def check_options(self, config: SessionConfig) -> None:
        """Refuse options: this provider has none, and ONNX Runtime would ignore them."""
        if config.options:
            raise OptionError(
                f"the provider cpu takes no options, and not {', '.join(config.options)}"
            )

    def disabled_optimizers(self) -> list[str]:
        """SkipLayerNormFusion: here its kernel is slower than the addition and the LayerNorm."""
        return ["SkipLayerNormFusion"]

    def is_of_the_graph(self, error: Exception) -> bool:  # noqa: ARG002
        """Nothing but the graph can be wrong: the processor is always there."""
        return True

    def entry(self, selected: SelectedVariant, config: SessionConfig) -> PreparedEntry:  # noqa: ARG002
        """As :meth:`Provider.entry`."""
        facts = {
            "onnxruntime": str(import_onnxruntime().__version__),
            "machine": platform.machine(),
            "instructions": digest(sorted(cpu_flags())),
        }
        return PreparedEntry.of(selected.bundle, selected.precision, self.name, facts)

    def open_model(self, selected: SelectedVariant, config: SessionConfig) -> Model:
        """As :meth:`Provider.open_model`; with fewer threads while other processes are busy."""

        def open_pair(threads: int) -> tuple[Session, Session]:
            selected.bundle.verify(selected.precision)  # it may be much later than the first time
            own = replace(config, threads=threads, others=None)
            return self._prepared_sessions(selected, own) or self.open_sessions(
                selected.graphs, own
            )

        if config.others is None or config.threads == 1:
            sessions = open_pair(config.threads)
        else:
            sessions = adaptive_sessions(open_pair, config.threads, config.others)
        return SequentialModel(*sessions, selected.audio, selected.chunking, selected.head)

    def prepare(self, selected: SelectedVariant, config: SessionConfig) -> None:
        """As :meth:`Provider.prepare`."""

        def build(folder: Path) -> None:
            try:
                plain = self._pack(selected.graphs, folder, config)
                packed = self._open_packed(folder, config)
            except BundleFormatError as error:
                self.open_sessions(selected.graphs, config)  # raises if the bundle is broken
                raise OutputError(
                    f"{folder}: the packed graphs could not be written and read again "
                    f"({free_space(folder)})"
                ) from error
            heard = noise(selected.audio, CHECK_SECONDS)
            expected, found = (
                SequentialModel(*sessions, selected.audio).encode(heard)[0]
                for sessions in (plain, packed)
            )
            # ONNX Runtime does not report that a disk is full.
            if not np.array_equal(expected, found):
                raise ProviderError(
                    f"{folder}: the packed graphs give other answers than the model, and are not "
                    f"kept ({free_space(folder)})"
                )

        self.entry(selected, config).make(build)

    def _prepared_sessions(
        self, selected: SelectedVariant, config: SessionConfig
    ) -> tuple[Session, Session] | None:
        # Usually nothing is prepared, and /proc/cpuinfo need not be read at every start.
        with contextlib.suppress(OSError, BundleFormatError):
            if model_folder(selected.bundle, selected.precision).is_dir():
                content = self.entry(selected, config).find()
                if content is not None:
                    return self._open_packed(content, config)
        return None

    def _open_packed(self, folder: Path, config: SessionConfig) -> tuple[Session, Session]:
        graphs = {name: folder / f"{name}.onnx" for name in GRAPHS}

        def open_one(name: str) -> Session:
            options = session_options(config)
            level = import_onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
            options.graph_optimization_level = level
            return self.create_session(graphs[name], options, {})

        return self.pair(graphs, open_one)

    def _pack(
        self, graphs: Mapping[str, Path], folder: Path, config: SessionConfig
    ) -> tuple[Session, Session]:
        """Open the graphs, and write them as they were optimized.

        Their weights are written beside them in the layout that kernels read.
        """

        def open_one(name: str) -> Session:
            options = session_options(config)
            options.optimized_model_filepath = str(folder / f"{name}.onnx")
            for key, value in (
                ("session.optimized_model_external_initializers_file_name", f"{name}.data"),
                ("session.optimized_model_external_initializers_min_size_in_bytes", "1024"),
                ("session.save_external_prepacked_constant_initializers", "1"),
            ):
                options.add_session_config_entry(key, value)
            return self.create_session(graphs[name], options, {})

        return self.pair(graphs, open_one)

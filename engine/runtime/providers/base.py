"""The seam between the engine and an execution provider of ONNX Runtime.

A provider knows its options, the variants that it runs, what it prepares ahead of time, and how it
opens a model. No caller asks which provider it has.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ...bundle.bundle import Bundle
from ...bundle.manifest import GRAPHS, Variant
from ...errors import BundleFormatError, ProviderError
from ...settings import Precision, PrecisionChoice, ProviderName
from ..denormals import denormals_as_zero
from ..model import Model, SelectedVariant
from ..prepared import PreparedEntry
from ..sequential import SequentialModel
from ..session import (
    Graph,
    Session,
    SessionConfig,
    first_line,
    graph_content,
    import_onnxruntime,
    require_interface,
    session_options,
)

CPU_ORT_NAME = "CPUExecutionProvider"

UNREADABLE = frozenset({"InvalidProtobuf", "InvalidGraph", "NoSuchFile"})
"""ONNX Runtime's exceptions for graphs that no provider can load."""


class Provider:
    """One execution provider. A subclass overrides what differs from these defaults."""

    name: ClassVar[ProviderName]
    ort_name: ClassVar[str]
    """ONNX Runtime's name."""
    below: ClassVar[tuple[str, ...]] = (CPU_ORT_NAME,)
    """ONNX Runtime's names of the providers that take the operators which this one lacks."""
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32",)
    """Variants that it runs, best first."""
    defaults: ClassVar[Mapping[str, str]] = {}
    """Options of the provider; the user's override them."""
    memory: ClassVar[str] = "cpu"
    """ONNX Runtime's name of the memory that it computes in."""
    library: ClassVar[str | None] = None
    """File in ONNX Runtime's folder that it lives in, if it is one of its own."""
    preparation: ClassVar[str | None] = None
    """Remark on a preparation that takes long, for users."""
    install: ClassVar[str]
    """Command, or other means, that installs it."""

    def require_available(self) -> None:
        """Check that the installed ONNX Runtime was built with this provider.

        Raises:
            ProviderError: it was not, or there is no ONNX Runtime.
        """
        ort = import_onnxruntime()
        available = ort.get_available_providers()
        if self.ort_name not in available:
            raise ProviderError(
                f"{self.name}: this build of onnxruntime {ort.__version__} has no "
                f"{self.ort_name} (it has {', '.join(available)}); {self.install}"
            )

    def check_options(self, config: SessionConfig) -> None:
        """Check the user's options, as far as ONNX Runtime does not.

        Raises:
            OptionError: an option that cannot be.
        """

    def precision_for(self, bundle: Bundle, wanted: PrecisionChoice) -> Precision:
        """The variant to open.

        Raises:
            VariantNotFoundError: the bundle has no such variant.
            ProviderError: the variant, or every variant of the bundle, does not run here.
        """
        if wanted != "auto":
            bundle.variant(wanted)
            self.require_precision(wanted, bundle)
            return wanted
        variants = bundle.manifest.variants
        for precision in self.precisions:
            if precision in variants and self.suits(variants[precision]):
                return precision
        raise ProviderError(
            f"{self.name}: runs {', '.join(self.precisions)}, and {bundle.folder} has only "
            f"{', '.join(variants)}"
        )

    def require_precision(self, precision: Precision, bundle: Bundle) -> None:  # noqa: ARG002
        """Check that a variant of a bundle that was named runs here.

        Raises:
            ProviderError: it does not.
        """
        if precision == "int8":
            raise ProviderError(
                f"{self.name}: int8 does not run there: its operators are those of ONNX "
                "Runtime's CPU kernels (CUDA has none for DynamicQuantizeLinear, TensorRT refuses "
                f"it); take {' or '.join(self.precisions)}, or the provider cpu"
            )
        if precision == "int8-static" and precision not in self.precisions:
            raise ProviderError(
                f"{self.name}: int8-static is for openvino and tensorrt: without kernels for "
                "products in eight bits it would be rounded to them and computed in float32, more "
                f"slowly than fp32; take {' or '.join(self.precisions)}"
            )

    def suits(self, variant: Variant) -> bool:  # noqa: ARG002
        """True if a variant of a precision that runs here also runs well."""
        return True

    def entry(self, selected: SelectedVariant, config: SessionConfig) -> PreparedEntry | None:  # noqa: ARG002
        """The place in the cache of what is prepared for a model; None if nothing is.

        Raises:
            OSError: there is no cache folder.
        """
        return None

    def prepare(self, selected: SelectedVariant, config: SessionConfig) -> None:
        """Prepare what :meth:`open_model` then finds in the cache, unless it is there.

        Raises:
            ProviderError: the provider cannot serve, or gives other answers than before.
            OutputError: the cache cannot be written.
        """

    def open_model(self, selected: SelectedVariant, config: SessionConfig) -> Model:
        """Open a model, with what was prepared for it if there is anything.

        Raises:
            ProviderError: the provider cannot serve.
            BundleFormatError: a graph is not one that this ONNX Runtime reads.
        """
        sessions = self.open_sessions(selected.graphs, config)
        return SequentialModel(*sessions, selected.audio, selected.chunking, selected.head)

    def open_session(self, graph: Graph, config: SessionConfig) -> Session:
        """Open one graph; raises as :meth:`open_model`."""
        return self.create_session(
            graph, session_options(config), {**self.defaults, **config.options}
        )

    def open_sessions(
        self, graphs: Mapping[str, Graph], config: SessionConfig
    ) -> tuple[Session, Session]:
        """Open ``frontend`` and ``encoder``; raises as :meth:`open_model`."""
        return self.pair(graphs, lambda name: self.open_session(graphs[name], config))

    @staticmethod
    def pair(
        graphs: Mapping[str, Graph], open_one: Callable[[str], Session]
    ) -> tuple[Session, Session]:
        """Sessions of ``frontend`` and ``encoder``, checked to be those.

        Args:
            graphs: path or content of both, for messages.
            open_one: opens the graph of a name.

        Raises:
            BundleFormatError: a graph has other inputs or outputs.
        """
        frontend, encoder = (open_one(name) for name in GRAPHS)
        for name, session in zip(GRAPHS, (frontend, encoder), strict=True):
            require_interface(session, name, graphs[name])
        return frontend, encoder

    def create_session(self, graph: Graph, options: Any, own: Mapping[str, str]) -> Session:
        """Create a session, and check that this provider runs it.

        ONNX Runtime by itself falls back to the CPU, and says so in a log at most.

        Args:
            graph: path or content of an ONNX file.
            options: ``onnxruntime.SessionOptions``.
            own: options of the provider.

        Raises:
            ProviderError, BundleFormatError: as :meth:`open_model`.
        """
        ort = import_onnxruntime()
        content = graph_content(graph)
        self.preload(ort)
        try:
            # The session changes how this thread treats denormals; that is taken back.
            with denormals_as_zero():
                session = ort.InferenceSession(
                    content,
                    options,
                    providers=[(self.ort_name, dict(own)) if own else self.ort_name, *self.below],
                    disabled_optimizers=self.disabled_optimizers(),
                    enable_fallback=0,  # to the CPU, without an error; since 1.23
                )
        except Exception as error:  # its exceptions have no common base but Exception
            raise self.creation_error(graph, error) from error
        session.disable_fallback()  # of a later run
        serving = session.get_providers()
        if self.ort_name not in serving[:1]:
            reason = self.missing_library(ort) or (
                "most often because a library that it needs is missing"
            )
            raise ProviderError(
                f"{self.name}: onnxruntime {ort.__version__} fell back to {', '.join(serving)}: "
                f"{reason}; {self.install}"
            )
        return session

    def creation_error(self, graph: Graph, error: Exception) -> Exception:
        """The error of the engine for one that the creation of a session raised."""
        version = import_onnxruntime().__version__
        if self.is_of_the_graph(error):
            name = "graph" if isinstance(graph, bytes) else graph
            return BundleFormatError(
                f"{name}: onnxruntime {version} cannot load it: {first_line(error)}"
            )
        return ProviderError(
            f"{self.name}: onnxruntime {version} could not create a session: "
            f"{first_line(error)}; {self.install}"
        )

    def is_of_the_graph(self, error: Exception) -> bool:
        """True if an error of the creation of a session means that the graph is broken."""
        return type(error).__name__ in UNREADABLE

    def disabled_optimizers(self) -> list[str] | None:
        """Names of ONNX Runtime's optimizers that make graphs slower here."""
        return None

    def preload(self, ort: Any) -> None:
        """Load libraries that the provider needs, where they can be found."""

    def missing_library(self, ort: Any) -> str | None:
        """The system loader's reason why the provider's own library cannot be loaded, if any."""
        if self.library is None or not getattr(ort, "__file__", None):
            return None
        path = Path(ort.__file__).parent / "capi" / self.library
        if not path.is_file():
            return f"{path.name} is not part of this build"
        try:
            ctypes.CDLL(str(path))
        except OSError as error:
            return str(error)
        return None

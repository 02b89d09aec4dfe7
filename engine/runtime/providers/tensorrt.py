"""NVIDIA's TensorRT: the shapes that its engines are built for, and where they are kept.

An engine serves the shapes between the smallest and the largest of its profile, and is tuned for
one of them. ONNX Runtime's provider runs an engine's first profile only
(github.com/microsoft/onnxruntime/pull/31624), so each graph has one, over all buckets.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ...bundle.bundle import Bundle
from ...bundle.manifest import GRAPHS
from ...errors import ProviderError
from ...settings import Precision
from ..chunking import BATCH_SECONDS, BUCKETS, row_frames, row_samples
from ..hardware import find_gpu, tensorrt_version
from ..model import FallbackModel, Model, SelectedVariant, noise
from ..prepared import PreparedEntry
from ..session import Session, SessionConfig, import_onnxruntime, session_options
from .base import CPU_ORT_NAME
from .cuda import CudaProvider, NvidiaProvider, device_number

LONGEST = BUCKETS[-1]
"""Seconds; longer audio runs on CUDA."""

ROWS = BATCH_SECONDS // LONGEST
"""Clips in one batch at most."""

TUNED = 10
"""Seconds of the one clip that engines are fastest for."""

BUILD_SECONDS = 2.0
"""Seconds of noise for the first run of new engines."""

OPTION_PREFIX = "trt_"
"""Prefix of the options that engines depend on."""


class TensorRtProvider(NvidiaProvider):
    """TensorRT. It does not run without engines, which take minutes to build."""

    name = "tensorrt"
    ort_name = "TensorrtExecutionProvider"
    below = (CudaProvider.ort_name, CPU_ORT_NAME)
    # Sums of squares overflow in half precision.
    defaults: ClassVar[Mapping[str, str]] = {"trt_layer_norm_fp32_fallback": "1"}
    library = "libonnxruntime_providers_tensorrt.so"
    preparation = "TensorRT's engines take minutes"
    install = (
        "pip uninstall onnxruntime; pip install 'emotion2vec-edge[gpu]' tensorrt; on a Jetson it "
        "comes with JetPack"
    )

    def require_precision(self, precision: Precision, bundle: Bundle) -> None:
        """As :meth:`Provider.require_precision`; int8-static by name, if it was made for this."""
        if precision != "int8-static":
            super().require_precision(precision, bundle)
        elif self.name not in bundle.variant(precision).providers:
            raise ProviderError(
                f"{self.name}: the activations of int8-static in {bundle.folder} are unsigned, and "
                "TensorRT reads signed ones around zero alone; 'e2v quantize "
                f"{bundle.folder} --precision int8-static --target tensorrt' makes those in its "
                "place"
            )

    def entry(self, selected: SelectedVariant, config: SessionConfig) -> PreparedEntry:
        """As :meth:`Provider.entry`."""
        own = {key: value for key, value in config.options.items() if key.startswith(OPTION_PREFIX)}
        facts = {
            "onnxruntime": str(import_onnxruntime().__version__),
            "tensorrt": str(tensorrt_version()),
            "gpu": str(find_gpu(device_number(config))),
            "options": json.dumps(own, sort_keys=True),
            "profiles": json.dumps(profile_options(selected.bundle), sort_keys=True),
        }
        # TensorRT adds the kernels that it times to its timing cache.
        return PreparedEntry.of(selected.bundle, selected.precision, self.name, facts, "*.timing")

    def prepare(self, selected: SelectedVariant, config: SessionConfig) -> None:
        """As :meth:`Provider.prepare`; a build that was stopped goes on with its measured times."""

        def build(folder: Path) -> None:
            sessions = self._sessions_with_engines(selected, folder, config)
            model = self.batched(sessions, selected, config, ROWS)
            model.encode(
                noise(selected.audio, BUILD_SECONDS)
            )  # some versions build at the first run

        self.entry(selected, config).make(build, resume=True)

    def open_model(self, selected: SelectedVariant, config: SessionConfig) -> Model:
        """As :meth:`Provider.open_model`; nobody who loads a model expects a build of minutes."""
        engines = None
        with contextlib.suppress(OSError):  # an unreadable cache has no engines
            engines = self.entry(selected, config).find()
        if engines is None:
            raise ProviderError(
                f"{self.name}: no engines are built yet for {selected.bundle.manifest.name} "
                f"{selected.precision} with this GPU, these versions and options; 'e2v warmup "
                "--provider tensorrt' builds them, once, in some minutes"
            )
        sessions = self._sessions_with_engines(selected, engines, config)
        model = self.batched(sessions, selected, config, ROWS)
        if selected.chunking.seconds <= LONGEST:
            return model
        own = {
            key: value for key, value in config.options.items() if not key.startswith(OPTION_PREFIX)
        }
        on_cuda = SessionConfig(config.threads, own, config.profile)
        return FallbackModel(
            model,
            CudaProvider().open_model(selected, on_cuda),
            LONGEST,
            f"audio longer than {LONGEST:g} s at once is beyond the shapes of TensorRT's engines, "
            "and was encoded on CUDA (--chunk-seconds)",
        )

    def _sessions_with_engines(
        self, selected: SelectedVariant, folder: Path, config: SessionConfig
    ) -> tuple[Session, Session]:
        """Sessions that keep their engines in a folder, and build those that are missing."""
        shared = engine_options(folder, selected.precision)
        shapes = profile_options(selected.bundle)

        def open_one(name: str) -> Session:
            options = {**self.defaults, **shared, **shapes[name], **config.options}
            return self.create_session(selected.graphs[name], session_options(config), options)

        return self.pair(selected.graphs, open_one)


def profile_options(bundle: Bundle) -> dict[str, dict[str, str]]:
    """ONNX Runtime's options of each graph for its shapes: least, best and most."""
    audio = bundle.manifest.audio
    dim = bundle.manifest.architecture.embed_dim
    shapes = {
        name: {
            "frontend": f"waveform:{rows * seconds}x{row_samples(audio)}",
            "encoder": f"features:{rows}x{seconds * row_frames(audio)}x{dim},lengths:{rows}",
        }
        for name, rows, seconds in (("min", 1, 1), ("opt", 1, TUNED), ("max", ROWS, LONGEST))
    }
    return {
        graph: {f"trt_profile_{name}_shapes": shape[graph] for name, shape in shapes.items()}
        for graph in GRAPHS
    }


def engine_options(folder: Path, precision: Precision) -> dict[str, str]:
    """ONNX Runtime's options that keep engines, and measured times of kernels, in a folder."""
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        # A graph in float16 is refused where TensorRT may not use that.
        "trt_fp16_enable": "1" if precision == "fp16" else "0",
        # So is one with quantized values (github.com/microsoft/onnxruntime/issues/13381).
        "trt_int8_enable": "1" if precision == "int8-static" else "0",
    }

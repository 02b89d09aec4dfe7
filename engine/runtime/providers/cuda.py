"""NVIDIA GPUs by ONNX Runtime's CUDA kernels, and what TensorRT shares with them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import OptionError
from ..model import Model, SelectedVariant
from ..session import Session, SessionConfig
from .base import Provider

if TYPE_CHECKING:
    from ..batched import BatchedModel

RECORDING_OPTIONS = ("enable_cuda_graph", "trt_cuda_graph_enable")
"""Options that record the kernels of a shape once, and then start them all at once."""

TRUE = ("1", "true", "True")


class NvidiaProvider(Provider):
    """A provider that computes on an NVIDIA GPU."""

    precisions = ("fp16", "fp32")
    memory = "cuda"

    def check_options(self, config: SessionConfig) -> None:
        """Refuse a ``device_id`` that is no number."""
        device_number(config)

    def preload(self, ort: Any) -> None:
        """Load CUDA and cuDNN from NVIDIA's wheels, where they are installed; since 1.21."""
        if hasattr(ort, "preload_dlls"):
            with contextlib.suppress(OSError):  # whether it was needed is seen at the session
                ort.preload_dlls()

    def batched(
        self,
        sessions: tuple[Session, Session],
        selected: SelectedVariant,
        config: SessionConfig,
        most: int | None = None,
    ) -> BatchedModel:
        """A model of sessions on the GPU; arguments as fields of :class:`BatchedModel`."""
        from ..batched import BatchedModel, DeviceMemory  # not for a start on the processor

        return BatchedModel(
            *sessions,
            selected.audio,
            selected.chunking,
            selected.head,
            memory=DeviceMemory(self.memory, device_number(config)),
            records=any(config.options.get(key) in TRUE for key in RECORDING_OPTIONS),
            most=most,
        )


class CudaProvider(NvidiaProvider):
    """ONNX Runtime's own CUDA kernels."""

    name = "cuda"
    ort_name = "CUDAExecutionProvider"
    defaults: ClassVar[Mapping[str, str]] = {
        # The exhaustive search, ONNX Runtime's default, begins anew at every new length of input.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Powers of two, the default, take up to twice the memory that is needed.
        "arena_extend_strategy": "kSameAsRequested",
    }
    library = "libonnxruntime_providers_cuda.so"
    install = (
        "pip uninstall onnxruntime; pip install 'emotion2vec-edge[gpu]', with CUDA and cuDNN of "
        "the versions it names; on a Jetson take NVIDIA's own wheel"
    )

    def open_model(self, selected: SelectedVariant, config: SessionConfig) -> Model:
        """As :meth:`Provider.open_model`."""
        return self.batched(self.open_sessions(selected.graphs, config), selected, config)


def device_number(config: SessionConfig) -> int:
    """Number of the GPU; raises OptionError if ``device_id`` is none."""
    number = config.options.get("device_id", "0")
    if not (number.isascii() and number.isdecimal()):
        raise OptionError(f"device_id is {number!r}; give the number of a GPU, from 0")
    return int(number)

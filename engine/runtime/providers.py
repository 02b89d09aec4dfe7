"""The execution providers of ONNX Runtime that the engine knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..settings import Precision


@dataclass(frozen=True)
class Provider:
    """One execution provider."""

    name: str
    """As users write it."""
    ort_name: str
    below: tuple[str, ...]
    """ONNX Runtime names that take the nodes which this one cannot."""
    precisions: tuple[Precision, ...]
    """Variants that it runs, best first."""
    install: str
    """What brings it."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What we set of its options; the user's own come on top."""
    device: str | None = None
    """ONNX Runtime's name of the memory that it computes in, where that is not the computer's."""
    library: str | None = None
    """File in ONNX Runtime's folder that it lives in, and that needs other libraries."""

    @property
    def stack(self) -> tuple[str, ...]:
        """What a session is created with."""
        return (self.ort_name, *self.below)


CPU = Provider(
    "cpu",
    "CPUExecutionProvider",
    (),
    ("int8", "fp32"),
    "pip install onnxruntime",
)
CUDA = Provider(
    "cuda",
    "CUDAExecutionProvider",
    (CPU.ort_name,),
    ("fp16", "fp32"),
    "pip uninstall onnxruntime; pip install 'emotion2vec-edge[gpu]', with CUDA and cuDNN of the "
    "versions it names; on a Jetson take NVIDIA's own wheel",
    {
        # The exhaustive search, ONNX Runtime's default, begins anew at every new length of input.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Powers of two, the default, take up to twice the memory that is needed.
        "arena_extend_strategy": "kSameAsRequested",
    },
    "cuda",
    "libonnxruntime_providers_cuda.so",
)
TENSORRT = Provider(
    "tensorrt",
    "TensorrtExecutionProvider",
    (CUDA.ort_name, CPU.ort_name),
    ("fp16", "fp32"),
    "pip uninstall onnxruntime; pip install 'emotion2vec-edge[gpu]' tensorrt; on a Jetson it comes "
    "with JetPack",
    # Sums of squares overflow in half precision.
    {"trt_layer_norm_fp32_fallback": "1"},
    "cuda",
    "libonnxruntime_providers_tensorrt.so",
)
LADDER = (TENSORRT, CUDA, CPU)
"""What ``auto`` tries, in this order."""

# fp32 only: our INT8 is made of operators that ONNX Runtime's own CPU kernels know.
OPENVINO = Provider(
    "openvino",
    "OpenVINOExecutionProvider",
    (CPU.ort_name,),
    ("fp32",),
    "pip uninstall onnxruntime; pip install onnxruntime-openvino, and emotion2vec-edge without an "
    "extra",
)
COREML = Provider(
    "coreml",
    "CoreMLExecutionProvider",
    (CPU.ort_name,),
    ("fp32",),
    "it comes with onnxruntime for macOS",
)
XNNPACK = Provider(
    "xnnpack",
    "XnnpackExecutionProvider",
    (CPU.ort_name,),
    ("fp32",),
    "build onnxruntime with --use_xnnpack",
)
PROVIDERS = (*LADDER, OPENVINO, COREML, XNNPACK)
NAMES = tuple(provider.name for provider in PROVIDERS)

"""Providers that are used by name only, where the installed ONNX Runtime has them.

They run fp32 only: INT8 variants consist of operators that ONNX Runtime's own CPU kernels know.
"""

from __future__ import annotations

from .base import Provider


class CoreMlProvider(Provider):
    """Apple's Core ML."""

    name = "coreml"
    ort_name = "CoreMLExecutionProvider"
    install = "it comes with onnxruntime for macOS"


class XnnpackProvider(Provider):
    """Google's XNNPACK."""

    name = "xnnpack"
    ort_name = "XnnpackExecutionProvider"
    install = "build onnxruntime with --use_xnnpack"

"""The baselines by name, and their requirements."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.audio.types import Samples
from emotion2vec_edge.engine.errors import MissingExtraError

from ..choices import BaselineName
from . import funasr, onnxruntime, openvino, torch_eager, torch_fused
from .settings import BaselineSettings, Run


@dataclass(frozen=True)
class Baseline:
    """A builder and its requirements."""

    build: Callable[[BaselineSettings], Run]
    needs: str
    """Software that the builder imports."""
    command: str
    """Command that installs it."""


_EXPORT = "pip install torch==2.13.0 'emotion2vec-edge[export]'"

BASELINES: dict[BaselineName, Baseline] = {
    "torch": Baseline(torch_eager.build, "torch", _EXPORT),
    "torch-int8": Baseline(torch_eager.build_int8, "torch", _EXPORT),
    "torch-sdpa": Baseline(torch_fused.build, "torch", _EXPORT),
    "torch-compile": Baseline(torch_fused.build_compiled, "torch and a C++ compiler", _EXPORT),
    "funasr": Baseline(
        funasr.build, "FunASR", "pip install --no-deps funasr, and the modules that it imports"
    ),
    "ort": Baseline(onnxruntime.build, "torch and onnx", _EXPORT),
    "ort-naive-int8": Baseline(onnxruntime.build_naive_int8, "torch and onnx", _EXPORT),
    "openvino": Baseline(openvino.build, "OpenVINO and nncf", "pip install openvino nncf"),
}


def build_baseline(name: BaselineName, settings: BaselineSettings) -> Run:
    """Make one of :data:`BASELINES` ready to run.

    Raises:
        MissingExtraError: its software is not installed; the message has the command.
        ProviderError: it should run on a GPU, and its torch finds none.
        CheckpointError: the checkpoint cannot be read.
    """
    baseline = BASELINES[name]
    try:
        with _quiet():
            run = baseline.build(settings)
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"the baseline {name} needs {baseline.needs} ({error}): {baseline.command}"
        ) from None
    return run if settings.temperature == 1 else functools.partial(_tempered, run, settings)


def _tempered(run: Run, settings: BaselineSettings, samples: Samples) -> NDArray[np.floating[Any]]:
    """Probabilities at the bundle's temperature."""
    powers = run(samples) ** (1 / settings.temperature)
    tempered: NDArray[np.floating[Any]] = powers / powers.sum(axis=-1, keepdims=True)
    return tempered


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the output, logs and warnings of other frameworks."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    hidden = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(hidden),
            contextlib.redirect_stderr(hidden),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

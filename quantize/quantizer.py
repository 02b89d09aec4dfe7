"""A bundle gets a variant: made, judged by the gate, written whole or not at all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from emotion2vec_edge.engine.bundle.bundle import Bundle
from emotion2vec_edge.engine.bundle.integrity import variant_files
from emotion2vec_edge.engine.bundle.locate import open_bundle
from emotion2vec_edge.engine.bundle.manifest import MANIFEST, Variant
from emotion2vec_edge.engine.errors import GateError, NonFiniteError
from emotion2vec_edge.engine.files import temporary_folder, write_file
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.chunking import Chunking
from emotion2vec_edge.engine.runtime.hardware import cpu_features, usable_threads
from emotion2vec_edge.engine.runtime.model import Model
from emotion2vec_edge.engine.runtime.providers import CPU
from emotion2vec_edge.engine.runtime.sequential import SequentialModel
from emotion2vec_edge.engine.runtime.session import SessionConfig, import_onnxruntime

from .calibration import Calibration
from .fp16 import convert_graphs
from .gate import Answers, Comparison, Limits, answers, compare
from .graph import operators
from .int8 import Int8Settings, all_layers, quantize_graphs
from .search import rank_layers, smallest_exclusion

Graphs = Mapping[str, onnx.ModelProto]

FP16_LIMITS = Limits(agreement=0.99, mean_shift=0.002, max_shift=0.01, cosine=0.999, ua_loss=0.003)
"""What half precision may lose; it should lose next to nothing."""

SEARCH_CLIPS = 24
"""Layers are ranked on so many clips; the gate judges on all."""

CULPRITS = 3
"""A refusal names so many layers."""


@dataclass(frozen=True)
class QualityGate:
    """The gate for one model: fp32's answers on the speech, and what is near enough."""

    calibration: Calibration
    labels: tuple[str, ...]
    limits: Limits
    bundle: Bundle
    fp32: Answers

    @classmethod
    def for_bundle(cls, bundle: Bundle, calibration: Calibration, limits: Limits) -> QualityGate:
        """Ask the fp32 variant of a bundle."""
        model = _opened(bundle.graphs("fp32"), bundle)
        labels = tuple(label.id for label in bundle.manifest.labels)
        return cls(calibration, labels, limits, bundle, answers(model, calibration.clips))

    def __call__(self, graphs: Graphs, most: int | None = None) -> Comparison:
        """Compare graphs with fp32, on at most so many clips."""
        content = {name: graph.SerializeToString() for name, graph in graphs.items()}
        model = _opened(content, self.bundle)
        every = 1 if most is None else max(1, len(self.calibration.clips) // most)
        clips = self.calibration.clips[::every]
        fp32 = Answers(
            self.fp32.embeddings[::every],
            None if self.fp32.scores is None else self.fp32.scores[::every],
        )
        try:
            ours = answers(model, clips)
        except NonFiniteError:  # no limit is kept
            return Comparison(len(clips), *[math.nan] * 4)
        return compare(ours, fp32, clips, self.labels)


def add_int8(
    folder: Path,
    calibration: Calibration,
    settings: Int8Settings | None = None,
    limits: Limits | None = None,
    *,
    search: bool = False,
    progress: Progress = no_progress,
) -> Variant:
    """Add the INT8 variant to a bundle.

    Args:
        folder: the bundle; it needs its fp32 variant.
        calibration: speech to judge on.
        settings: how to quantize.
        limits: what it may lose.
        search: find the layers that must stay in float instead of refusing.
        progress: receives each step.

    Raises:
        GateError: the variant lost too much; the bundle is as it was.
        VariantNotFoundError: the bundle has no fp32 variant.
        OptionError: a layer to keep that there is not.
        OutputError: the variant cannot be written.
    """
    settings = settings or Int8Settings()
    bundle, graphs = _fp32(folder)
    heads = bundle.manifest.architecture.heads
    progress("fp32 on the calibration speech")
    judge = QualityGate.for_bundle(bundle, calibration, limits or Limits())

    def quantized(keep_float: tuple[str, ...]) -> Graphs:
        return quantize_graphs(graphs, dataclasses.replace(settings, keep_float=keep_float), heads)

    keep = tuple(settings.keep_float)
    progress("quantizing")
    result = quantized(keep)
    comparison = judge(result)
    failures = comparison.failures(judge.limits)
    if failures:
        candidates = [name for name in all_layers(graphs) if name not in keep]
        ranked = rank_layers(
            candidates,
            lambda layer: judge(
                quantized(tuple(n for n in all_layers(graphs) if n != layer)), SEARCH_CLIPS
            ),
            progress,
        )
        worst = ", ".join(f"{name} ({loss:.4f})" for name, loss in ranked[:CULPRITS])
        if not search:
            raise GateError(
                f"int8 lost too much: {'; '.join(failures)}. By themselves these layers shift the "
                f"probabilities or embeddings most: {worst}. Keep them in float (--keep-float), or "
                f"let --search find the least that must be; {folder} is as it was"
            )
        more = smallest_exclusion(
            [name for name, _ in ranked],
            lambda extra: not judge(quantized((*keep, *extra))).failures(judge.limits),
            progress,
        )
        if more is None:
            raise GateError(
                f"int8 lost too much ({'; '.join(failures)}), and no set of layers in float mends "
                f"it; {folder} is as it was"
            )
        keep = (*keep, *more)
        result = quantized(keep)
        comparison = judge(result)
    recipe = {
        "quantization": "dynamic; weights int8 per channel, activations uint8 per tensor",
        "target": settings.resolved,
        "reduce_range": settings.reduce_range,
        "keep_float": list(keep),
    }
    return _write(bundle, "int8", result, (CPU.name,), recipe, comparison, judge)


def add_fp16(
    folder: Path, calibration: Calibration, *, progress: Progress = no_progress
) -> Variant:
    """Add the FP16 variant, for GPUs, to a bundle; raises as :func:`add_int8`.

    The gate runs it on the CPU, which computes in float32 between float16 values: it shows what the
    rounding of weights and values costs, and not what a GPU's own arithmetic adds.
    """
    bundle, graphs = _fp32(folder)
    progress("fp32 on the calibration speech")
    judge = QualityGate.for_bundle(bundle, calibration, FP16_LIMITS)
    progress("converting to float16")
    result = convert_graphs(graphs)
    comparison = judge(result)
    if failures := comparison.failures(judge.limits):
        raise GateError(f"fp16 lost too much: {'; '.join(failures)}; {folder} is as it was")
    recipe = {"conversion": "float16; inputs, outputs, LayerNorm, softmax and ALiBi in float32"}
    return _write(bundle, "fp16", result, ("tensorrt", "cuda"), recipe, comparison, judge)


def _opened(graphs: Mapping[str, Path | bytes], bundle: Bundle) -> Model:
    manifest = bundle.manifest
    chunking = Chunking(block=manifest.architecture.block_seconds)
    sessions = CPU.open_sessions(graphs, SessionConfig(usable_threads()))
    return SequentialModel(*sessions, manifest.audio, chunking, bundle.head())


def _fp32(folder: Path) -> tuple[Bundle, dict[str, onnx.ModelProto]]:
    bundle = open_bundle(folder)
    bundle.verify("fp32")
    return bundle, {name: onnx.load(path) for name, path in bundle.graphs("fp32").items()}


def _write(
    bundle: Bundle,
    precision: Literal["int8", "fp16"],
    graphs: Graphs,
    providers: tuple[str, ...],
    recipe: dict[str, Any],
    comparison: Comparison,
    judge: QualityGate,
) -> Variant:
    """Write the graphs beside their place, rename, and only then let the manifest name them."""
    evidence = {
        "against": "fp32, onnxruntime on the cpu",
        "speech": judge.calibration.source,
        **comparison.to_dict(),
        "limits": dataclasses.asdict(judge.limits),
        "measured_on": f"onnxruntime {import_onnxruntime().__version__}, "
        + ", ".join(cpu_features()),
        "operators": {name: operators(graph) for name, graph in graphs.items()},
    }
    target = bundle.folder / precision
    with temporary_folder(target) as temporary:
        new = temporary / precision
        new.mkdir()
        for name, graph in graphs.items():
            onnx.save_model(graph, new / f"{name}.onnx")
        variant = Variant(variant_files(temporary, precision), providers, recipe, evidence)
        variants = {**bundle.manifest.variants, precision: variant}
        manifest = dataclasses.replace(bundle.manifest, variants=variants)
        old = temporary / "old"
        if target.exists():
            target.replace(old)
        try:
            new.replace(target)
            write_file(bundle.folder / MANIFEST, manifest.to_json().encode())
        except BaseException:
            if target.exists():
                target.replace(new)
            if old.exists():
                old.replace(target)
            raise
    return variant

"""A bundle gets a variant: made from fp32, compared with it by the gate, and written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion2vec_edge.engine.bundle.bundle import Bundle
from emotion2vec_edge.engine.bundle.locate import open_bundle
from emotion2vec_edge.engine.bundle.manifest import Variant
from emotion2vec_edge.engine.errors import GateError
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.hardware import cpu_features
from emotion2vec_edge.engine.runtime.providers import CPU
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .calibration import Calibration, Clip
from .choices import Quantized, StaticTarget
from .fp16 import convert_graphs
from .gate import Comparison, Limits, QualityGate
from .int8 import KEEP_FLOAT, all_layers, quantize_graphs, require_layers
from .rewrites.graph import Graphs, load_graph, operators
from .rewrites.smoothing import STRENGTH, Smoothing, feeds_on_speech
from .search import Ranked, rank_layers, smallest_exclusion
from .static import CALIBRATION_CLIPS, StaticQuantizer, ranges_on_speech, static_layers
from .variants import NewVariant, add_variant

FP16_LIMITS = Limits(agreement=0.99, mean_shift=0.002, max_shift=0.01, cosine=0.999, ua_loss=0.003)
"""Limits of half precision, which should lose next to nothing."""

SEARCH_CLIPS = 24
"""Clips that layers are ranked on; the gate takes all."""

SMOOTHED = f"products behind a LayerNorm, strength {STRENGTH}"
"""Entry of the recipe of an INT8 variant."""

CULPRITS = 3
"""Layers that a refusal names."""


def add_int8(
    folder: Path,
    calibration: Calibration,
    keep_float: Collection[str] = KEEP_FLOAT,
    limits: Limits | None = None,
    *,
    search: bool = False,
    progress: Progress = no_progress,
) -> Variant:
    """Add the INT8 variant to a bundle.

    Args:
        folder: the bundle; it needs its fp32 variant.
        calibration: speech to compare on.
        keep_float: layers that stay in float.
        limits: largest loss that is accepted.
        search: find the layers that must stay in float instead of refusing.
        progress: receives each step.

    Raises:
        GateError: the variant lost too much; the bundle is as it was.
        VariantNotFoundError: the bundle has no fp32 variant.
        ModelError: the fp32 graphs cannot be read or quantized.
        OptionError: a layer to keep does not exist.
        OutputError: the variant cannot be written; the bundle is as it was.
    """
    bundle, graphs = _fp32(folder)
    progress("fp32 on the calibration speech")
    gate = QualityGate.for_bundle(bundle, calibration, limits or Limits())
    heads = bundle.manifest.architecture.heads
    clips = _range_clips(calibration)
    feeds = feeds_on_speech(gate.model(), clips)
    ranges = ranges_on_speech(graphs, feeds, ["Conv"])
    smoothing = Smoothing.on_speech(graphs, feeds)

    def quantized(keep_float: tuple[str, ...]) -> Graphs:
        return quantize_graphs(smoothing.smoothed(keep_float), keep_float, heads, ranges)

    trials = _Trials("int8", all_layers(graphs), quantized, gate, progress)
    trial = trials.passing(tuple(keep_float), search=search)
    recipe = {
        "quantization": "dynamic; weights int8 per channel, activations uint8 per tensor",
        "convolutions": f"static; scales of the smallest and largest value on {len(clips)} clips",
        "smoothed": SMOOTHED,
        "keep_float": list(trial.keep_float),
    }
    evidence = _evidence(gate, trial.comparison, trial.graphs)
    return add_variant(bundle, NewVariant("int8", trial.graphs, (CPU.name,), recipe, evidence))


def add_int8_static(
    folder: Path,
    calibration: Calibration,
    keep_float: Collection[str] = KEEP_FLOAT,
    limits: Limits | None = None,
    *,
    target: StaticTarget = "openvino",
    search: bool = False,
    progress: Progress = no_progress,
) -> Variant:
    """Add the static INT8 variant, for OpenVINO or TensorRT, to a bundle.

    The gate runs it on the CPU provider. Its scales are found on the speech that the gate compares
    on.

    Args:
        folder: the bundle; it needs its fp32 variant.
        calibration: speech to find the scales on, and to compare on.
        keep_float: layers that stay in float.
        limits: largest loss that is accepted.
        target: runtime to make it for.
        search: find the layers that must stay in float instead of refusing.
        progress: receives each step.

    Raises:
        GateError, VariantNotFoundError, ModelError, OptionError, OutputError: as :func:`add_int8`.
    """
    bundle, graphs = _fp32(folder)
    require_layers(keep_float, static_layers(graphs, target))
    progress("fp32 on the calibration speech")
    gate = QualityGate.for_bundle(bundle, calibration, limits or Limits())
    clips = _range_clips(calibration)
    feeds = feeds_on_speech(gate.model(), clips)
    quantizer = StaticQuantizer.on_speech(Smoothing.on_speech(graphs, feeds), target, feeds)
    trials = _Trials("int8-static", quantizer.layers, quantizer.quantized, gate, progress)
    trial = trials.passing(tuple(keep_float), search=search)
    recipe = {
        "quantization": "static; weights int8 per channel, activations "
        f"{quantizer.activations} per tensor, QDQ",
        "smoothed": SMOOTHED,
        "target": target,
        "scales": f"smallest and largest value on {len(clips)} clips",
        "keep_float": list(trial.keep_float),
    }
    evidence = _evidence(gate, trial.comparison, trial.graphs)
    return add_variant(bundle, NewVariant("int8-static", trial.graphs, (target,), recipe, evidence))


def _range_clips(calibration: Calibration) -> Sequence[Clip]:
    """The clips that fixed scales are found on, spread evenly over all."""
    return calibration.clips[:: max(1, len(calibration.clips) // CALIBRATION_CLIPS)]


def add_fp16(
    folder: Path, calibration: Calibration, *, progress: Progress = no_progress
) -> Variant:
    """Add the FP16 variant, for GPUs, to a bundle; raises as :func:`add_int8`.

    The gate runs it on the CPU, which computes in float32 between float16 values: it measures the
    rounding of weights and values, and not the arithmetic of a GPU.
    """
    bundle, graphs = _fp32(folder)
    progress("fp32 on the calibration speech")
    gate = QualityGate.for_bundle(bundle, calibration, FP16_LIMITS)
    progress("converting to float16")
    converted = convert_graphs(graphs)
    comparison = gate.compare(converted)
    if failures := gate.failures(comparison):
        raise GateError(f"fp16 lost too much: {'; '.join(failures)}; {folder} is as it was")
    recipe = {"conversion": "float16; inputs, outputs, LayerNorm, softmax and ALiBi in float32"}
    evidence = _evidence(gate, comparison, converted)
    return add_variant(
        bundle, NewVariant("fp16", converted, ("tensorrt", "cuda"), recipe, evidence)
    )


@dataclass(frozen=True)
class _Trial:
    """Graphs with some layers in float, compared with fp32."""

    keep_float: tuple[str, ...]
    graphs: Graphs
    comparison: Comparison


@dataclass(frozen=True)
class _Trials:
    """Quantizations of one model with different layers in float."""

    precision: Quantized
    layers: Sequence[str]
    """All layers that can be quantized."""
    quantized: Callable[[tuple[str, ...]], Graphs]
    """Layers that stay in float → quantized graphs."""
    gate: QualityGate
    progress: Progress

    def passing(self, keep_float: tuple[str, ...], *, search: bool) -> _Trial:
        """The quantization with these layers in float or, if the search may, more of them.

        Raises:
            GateError: it lost too much.
        """
        self.progress("quantizing")
        trial = self.run(keep_float)
        failures = self.gate.failures(trial.comparison)
        if not failures:
            return trial
        ranked = self.ranked(keep_float)
        folder = self.gate.bundle.folder
        if not search:
            raise GateError(_refusal(self.precision, failures, ranked, folder))
        better = self.searched(keep_float, ranked)
        if better is None:
            raise GateError(
                f"{self.precision} lost too much ({'; '.join(failures)}), and no set of layers in "
                f"float mends it; {folder} is as it was"
            )
        return better

    def run(self, keep_float: tuple[str, ...]) -> _Trial:
        """Quantize all layers but those to keep, and compare on all clips."""
        graphs = self.quantized(keep_float)
        return _Trial(keep_float, graphs, self.gate.compare(graphs))

    def ranked(self, keep_float: tuple[str, ...]) -> list[Ranked]:
        """Each layer that was quantized, by its loss when it alone is."""

        def alone(layer: str) -> Comparison:
            others = tuple(name for name in self.layers if name != layer)
            return self.gate.compare(self.quantized(others), SEARCH_CLIPS)

        candidates = [name for name in self.layers if name not in keep_float]
        return rank_layers(candidates, alone, self.progress)

    def searched(self, keep_float: tuple[str, ...], ranked: Sequence[Ranked]) -> _Trial | None:
        """The trial with the fewest more layers in float that passes; None if none does."""
        more = smallest_exclusion(
            [layer.name for layer in ranked],
            lambda more: not self.gate.failures(self.run((*keep_float, *more)).comparison),
            self.progress,
        )
        return None if more is None else self.run((*keep_float, *more))


def _refusal(
    precision: Quantized, failures: Sequence[str], ranked: Sequence[Ranked], folder: Path
) -> str:
    worst = ", ".join(f"{layer.name} ({layer.loss:.4f})" for layer in ranked[:CULPRITS])
    return (
        f"{precision} lost too much: {'; '.join(failures)}. By themselves these layers shift the "
        f"probabilities or embeddings most: {worst}. Keep them in float (--keep-float), or let "
        f"--search find the least that must be; {folder} is as it was"
    )


def _fp32(folder: Path) -> tuple[Bundle, Graphs]:
    """A bundle and its fp32 graphs."""
    bundle = open_bundle(folder)
    bundle.verify("fp32")
    return bundle, {name: load_graph(path) for name, path in bundle.graphs("fp32").items()}


def _evidence(gate: QualityGate, comparison: Comparison, graphs: Graphs) -> dict[str, Any]:
    """The measurements of a variant for ``bundle.json``."""
    version = import_onnxruntime().__version__
    return {
        "against": "fp32, onnxruntime on the cpu",
        "speech": gate.calibration.source,
        **comparison.to_dict(),
        "limits": dataclasses.asdict(gate.limits),
        "measured_on": f"onnxruntime {version}, {', '.join(cpu_features())}",
        "operators": {name: operators(graph) for name, graph in graphs.items()},
    }

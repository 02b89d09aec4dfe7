"""The five models of a repository, and the tensors between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from emotion2vec_edge.engine.bundle.manifest import Manifest
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.settings import Precision

from .config import (
    WARM_UP_SECONDS,
    Device,
    EnsembleConfig,
    GraphConfig,
    Step,
    Tensor,
    WarmUpInput,
)

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class RepositorySettings:
    """Settings of a repository.

    Raises:
        OptionError: a name that is none, or a number out of range.
    """

    device: Device = "cpu"
    name: str | None = None
    """Name of the ensemble, and beginning of the others' names; None takes the bundle's."""
    precision: Precision | None = None
    """None takes the best of the bundle for the device."""
    instances: int = 1
    """Copies of each graph that run at the same time."""
    max_batch: int | None = None
    """Requests that are run together; None takes 1 on a CPU, where it is as fast, else 16."""
    delay: int = 2_000
    """Microseconds that a request waits for others of its shape."""

    def __post_init__(self) -> None:
        if self.name is not None and not NAME.fullmatch(self.name):
            raise OptionError(
                f"{self.name!r}: not a name of a model; give letters, digits, '.', '_' and '-'"
            )

    @property
    def batch(self) -> int:
        """Requests that are run together."""
        return self.max_batch or (1 if self.device == "cpu" else 16)


@dataclass(frozen=True)
class Models:
    """The models of a repository."""

    ensemble: EnsembleConfig
    graphs: tuple[GraphConfig, ...]


@dataclass(frozen=True)
class _Tensors:
    """The tensors between the models of a bundle."""

    features: Tensor
    frames: Tensor
    logits: tuple[Tensor, ...]
    """Frame logits, if the encoder has a head."""
    pooled: tuple[Tensor, ...]
    """Frame logits, if the scores are made of them, and not by a head of the bundle."""
    answers: tuple[Tensor, ...]
    """The outputs of the ensemble."""

    @classmethod
    def of(cls, manifest: Manifest) -> _Tensors:
        dim, labels = manifest.architecture.embed_dim, len(manifest.labels)
        logits = (Tensor("logits", "TYPE_FP32", (-1, labels)),) if labels else ()
        scores = (Tensor("scores", "TYPE_FP32", (labels,), labels=True),) if labels else ()
        return cls(
            Tensor("features", "TYPE_FP32", (-1, dim)),
            Tensor("frames", "TYPE_FP32", (-1, dim)),
            logits,
            logits if manifest.head is None else (),
            (*scores, Tensor("embedding", "TYPE_FP32", (dim,))),
        )


WAVEFORM = Tensor("waveform", "TYPE_FP32", (-1,))
LENGTHS = Tensor("lengths", "TYPE_INT64", (1,), scalar=True)


def models_of(manifest: Manifest, name: str, settings: RepositorySettings) -> Models:
    """The models of a bundle, by names that begin with ``name``."""
    tensors = _Tensors.of(manifest)
    return Models(
        _ensemble(manifest, tensors, name, settings), _graphs(manifest, tensors, name, settings)
    )


def _graphs(
    manifest: Manifest, tensors: _Tensors, name: str, settings: RepositorySettings
) -> tuple[GraphConfig, ...]:
    def graph(
        part: str, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], device: Device = "cpu",
        warm_ups: Mapping[str, tuple[WarmUpInput, ...]] | None = None,
    ) -> GraphConfig:  # fmt: skip
        return GraphConfig(
            f"{name}_{part}", f"{part}.onnx", inputs, outputs, device, settings.instances,
            settings.batch, settings.delay, warm_ups or {},
        )  # fmt: skip

    audio, dim = manifest.audio, manifest.architecture.embed_dim
    samples = {seconds: seconds * audio.sample_rate for seconds in WARM_UP_SECONDS}
    waveforms = {
        f"{seconds} s": (WarmUpInput(WAVEFORM, (count,)),) for seconds, count in samples.items()
    }
    counts = {seconds: audio.frame_count(count) for seconds, count in samples.items()}
    features = {
        f"{seconds} s": (
            WarmUpInput(tensors.features, (count, dim)),
            WarmUpInput(LENGTHS, (1,), f"frames_{count}"),
        )
        for seconds, count in counts.items()
    }
    normalized = Tensor("normalized", "TYPE_FP32", (-1,))
    frame_counts = Tensor("frame_counts", "TYPE_INT64", (1,), scalar=True)
    encoded = (tensors.frames, *tensors.logits)
    return (
        graph("normalize", (WAVEFORM, LENGTHS), (normalized, frame_counts)),
        graph("frontend", (WAVEFORM,), (tensors.features,), settings.device, waveforms),
        graph("encoder", (tensors.features, LENGTHS), encoded, settings.device, features),
        graph("pool", (tensors.frames, *tensors.pooled, LENGTHS), tensors.answers),
    )


def _ensemble(
    manifest: Manifest, tensors: _Tensors, name: str, settings: RepositorySettings
) -> EnsembleConfig:
    encoded = _same("frames", *(tensor.name for tensor in tensors.pooled))
    counted = {"lengths": "frame_counts"}
    answers = _same(*(tensor.name for tensor in tensors.answers))
    steps = (
        Step(
            f"{name}_normalize", _same("waveform", "lengths"), _same("normalized", "frame_counts")
        ),
        Step(f"{name}_frontend", {"waveform": "normalized"}, _same("features")),
        Step(f"{name}_encoder", {**_same("features"), **counted}, encoded),
        Step(f"{name}_pool", {**encoded, **counted}, answers),
    )
    parameters = {
        "sample_rate": manifest.audio.sample_rate,
        "least_samples": manifest.audio.receptive_field,
        "labels": ",".join(label.id for label in manifest.labels),
        "licence": manifest.source.licence,
    }
    # Triton reshapes the inputs of the models, and not those of an ensemble.
    lengths = replace(LENGTHS, scalar=False)
    inputs = (WAVEFORM, lengths)
    return EnsembleConfig(name, inputs, tensors.answers, settings.batch, steps, parameters)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}

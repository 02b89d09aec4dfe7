"""The model repository of a bundle: an ensemble of four ONNX models, written and compared.

::

    REPOSITORY/
      NAME/            config.pbtxt, labels.txt, 1/    the ensemble, which clients ask
      NAME_normalize/  config.pbtxt, 1/normalize.onnx
      NAME_frontend/   config.pbtxt, 1/frontend.onnx   the bundle's own file
      NAME_encoder/    config.pbtxt, 1/encoder.onnx, warmup/
      NAME_pool/       config.pbtxt, labels.txt, 1/pool.onnx
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.bundle.bundle import Bundle
from emotion2vec_edge.engine.bundle.external_data import external_files
from emotion2vec_edge.engine.bundle.manifest import Manifest
from emotion2vec_edge.engine.errors import OptionError, ParityError
from emotion2vec_edge.engine.files import reported, temporary_folder
from emotion2vec_edge.engine.recognizer import Recognizer
from emotion2vec_edge.engine.runtime.session import import_onnxruntime
from emotion2vec_edge.engine.settings import Precision

from .config import Device, EnsembleConfig, GraphConfig
from .graphs import normalizer, pooler
from .models import NAME, Models, RepositorySettings, models_of

PRECISIONS: Mapping[Device, tuple[Precision, ...]] = {
    "cpu": ("int8", "fp32"),
    "gpu": ("fp16", "fp32"),
}
"""Device → the variants that suit it, best first."""

MOST_SCORE_DIFFERENCE: Mapping[Precision, float] = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.02}
"""Largest difference of a score from the engine's, of unpadded recordings."""


@dataclass(frozen=True)
class Written:
    """A repository that was written."""

    name: str
    """Name of the ensemble."""
    precision: Precision
    difference: float
    """Largest difference of a score or an embedding's value from the engine's."""


def write_repository(
    bundle: Bundle, repository: Path, settings: RepositorySettings | None = None
) -> Written:
    """Write a model repository, or add a bundle's models to one.

    The graphs are first run one after the other on speech, and compared with the engine.

    Args:
        bundle: the bundle.
        repository: folder of the repository.
        settings: device, names and batches.

    Raises:
        VariantNotFoundError: the bundle has no variant that was asked for.
        BundleTamperedError: a file differs from its checksum.
        ParityError: the graphs do not give the engine's scores; nothing is written.
        OptionError: the repository has a model of one of the names.
        OutputError: it cannot be written.
    """
    settings = settings or RepositorySettings()
    name = settings.name or bundle.manifest.name
    if not NAME.fullmatch(name):
        raise OptionError(f"{name!r} is no name that Triton takes; give another with --name")
    precision = _precision(bundle, settings)
    bundle.verify(precision)
    parts = models_of(bundle.manifest, name, settings)
    taken = [name, *(config.name for config in parts.graphs)]
    if existing := [model for model in taken if (repository / model).exists()]:
        raise OptionError(
            f"{repository}: has a model {existing[0]} already; remove its folders, or give another "
            "--name"
        )
    with temporary_folder(repository / name) as folder, reported(repository):
        _write(bundle, precision, parts, folder)
        difference = _compare(bundle, precision, parts, folder)
        for model in reversed(taken):  # the ensemble last: then all that it names is there
            (folder / model).replace(repository / model)
    return Written(name, precision, difference)


def _precision(bundle: Bundle, settings: RepositorySettings) -> Precision:
    if settings.precision is not None:
        bundle.variant(settings.precision)
        return settings.precision
    suitable = PRECISIONS[settings.device]
    for precision in suitable:
        if precision in bundle.manifest.variants:
            return precision
    raise OptionError(f"{bundle.folder}: has neither {' nor '.join(suitable)}; name a --precision")


def _write(bundle: Bundle, precision: Precision, parts: Models, folder: Path) -> None:
    import onnx

    manifest = bundle.manifest
    made = {"normalize.onnx": normalizer(manifest), "pool.onnx": pooler(manifest, bundle.head())}
    _write_config(parts.ensemble, manifest, folder)
    for config in parts.graphs:
        _write_config(config, manifest, folder)
        model = folder / config.name
        if config.graph in made:
            onnx.save_model(made[config.graph], model / "1" / config.graph)
        else:
            _copy_graph(bundle.graph(precision, config.graph.removesuffix(".onnx")), model / "1")
        for given in itertools.chain(*config.warm_ups.values()):
            if given.file is not None:
                (model / "warmup").mkdir(exist_ok=True)
                count = int(given.file.partition("_")[2])
                (model / "warmup" / given.file).write_bytes(np.int64(count).tobytes())


def _write_config(config: GraphConfig | EnsembleConfig, manifest: Manifest, folder: Path) -> None:
    (folder / config.name / "1").mkdir(parents=True)
    (folder / config.name / "config.pbtxt").write_text(config.text(), encoding="utf-8")
    if any(tensor.labels for tensor in config.outputs):
        labels = "".join(f"{label.id}\n" for label in manifest.labels)
        (folder / config.name / "labels.txt").write_text(labels, encoding="utf-8")


def _copy_graph(graph: Path, folder: Path) -> None:
    with graph.open("rb") as file:
        locations = external_files(file, graph)
    for location in (graph.name, *locations):
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(graph.parent / location, folder / location)


def _compare(bundle: Bundle, precision: Precision, parts: Models, folder: Path) -> float:
    """Largest difference from the engine's answers to the example recordings."""
    ort = import_onnxruntime()
    sessions = {
        config.name: ort.InferenceSession(
            folder / config.name / "1" / config.graph, providers=["CPUExecutionProvider"]
        )
        for config in parts.graphs
    }
    recognizer = Recognizer.load(bundle.folder, precision=precision, provider="cpu")
    worst = 0.0
    for path in example_recordings():
        samples = load_audio(path).samples
        values = run_steps(
            parts.ensemble, sessions,
            {"waveform": samples[None], "lengths": np.array([len(samples)], np.int64)},
        )  # fmt: skip
        encoding = recognizer.encode(samples, bundle.manifest.audio.sample_rate)
        expected: dict[str, Any] = {"embedding": encoding.embedding()}
        if bundle.manifest.labels:
            scores = encoding.utterance().scores
            expected["scores"] = [scores[label.id] for label in bundle.manifest.labels]
        key = "scores" if "scores" in expected else "embedding"
        worst = max(worst, float(np.abs(values[key][0] - np.asarray(expected[key])).max()))
    if not worst <= MOST_SCORE_DIFFERENCE[precision]:
        raise ParityError(
            f"the repository's {precision} graphs differ from the engine by {worst:.1e}, more than "
            f"{MOST_SCORE_DIFFERENCE[precision]:g}; nothing was written"
        )
    return worst


def run_steps(
    ensemble: EnsembleConfig, sessions: Mapping[str, Any], inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Run the models of an ensemble in this process, in its order.

    Args:
        ensemble: the ensemble.
        sessions: model → its session of ONNX Runtime.
        inputs: the ensemble's inputs, as its graphs take them.

    Returns:
        every tensor of the ensemble, by name.
    """
    values = dict(inputs)
    for step in ensemble.steps:
        given = {name: values[tensor] for name, tensor in step.inputs.items()}
        results = sessions[step.model].run(list(step.outputs), given)
        values.update(zip(step.outputs.values(), results, strict=True))
    return values

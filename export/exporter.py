"""A checkpoint becomes a bundle: read, trace, prove, write. The bundle is whole or absent."""

from __future__ import annotations

import datetime
import importlib.metadata
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.bundle.integrity import variant_files
from emotion2vec_edge.engine.bundle.manifest import (
    CARD,
    MANIFEST,
    Architecture,
    AudioContract,
    Manifest,
    ModelSource,
    Variant,
)
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_folder, temporary_folder
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.providers import LADDER
from emotion2vec_edge.engine.version import __version__

from .checkpoint.calibration import read_calibration
from .checkpoint.folder import Checkpoint, load_checkpoint
from .graph import OPSET, export_graphs, export_single_file
from .hub import Source
from .output import check_output
from .parity import check_bundle, check_single_file

UNSTATED = "not stated by the checkpoint; see where it comes from"


@dataclass(frozen=True)
class ExportSettings:
    """What the user may say about an export."""

    output: Path
    name: str | None = None
    """Name of the model; None takes the checkpoint's."""
    licence: str | None = None
    """Licence of the weights, for ``bundle.json``."""
    overwrite: bool = False


def export_bundle(
    source: Source, settings: ExportSettings, progress: Progress = no_progress
) -> Manifest:
    """Export a checkpoint as a bundle of its fp32 variant.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ParityError: the graphs do not give the model's numbers; nothing is written.
        OptionError: the output exists already.
        OutputError: the output cannot be written.
    """
    check_output(settings.output, MANIFEST, overwrite=settings.overwrite)
    progress("reading the checkpoint")
    checkpoint = load_checkpoint(source.folder)
    with atomic_folder(settings.output, MANIFEST) as folder:
        variant = folder / "fp32"
        variant.mkdir(parents=True)
        progress("tracing to ONNX")
        export_graphs(checkpoint.model, variant, checkpoint.labels, audio_contract(checkpoint))
        evidence = check_bundle(checkpoint.model, variant, progress)
        manifest = _manifest(checkpoint, source, settings, folder, evidence)
        if (card := source.folder / CARD).is_file():
            shutil.copyfile(card, folder / CARD)
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def export_merged(
    source: Source, settings: ExportSettings, progress: Progress = no_progress
) -> dict[str, Any]:
    """Export a checkpoint as one ``.onnx`` for other servers; raises as :func:`export_bundle`."""
    if settings.output.suffix != ".onnx":
        raise OptionError(f"{settings.output}: with --single-file the output ends in .onnx")
    check_output(settings.output, None, overwrite=settings.overwrite)
    progress("reading the checkpoint")
    checkpoint = load_checkpoint(source.folder)
    output = settings.output
    with temporary_folder(output) as folder:
        progress("tracing to ONNX")
        path = folder / output.name
        export_single_file(checkpoint.model, path, checkpoint.labels, audio_contract(checkpoint))
        evidence = check_single_file(checkpoint.model, path, progress)
        for file in sorted(folder.iterdir(), reverse=True):  # external data before the graph
            file.replace(output.parent / file.name)
    return evidence


def audio_contract(checkpoint: Checkpoint) -> AudioContract:
    """What the model hears."""
    config = checkpoint.config
    return AudioContract(SAMPLE_RATE, config.hop, config.receptive_field, config.normalize)


def _manifest(
    checkpoint: Checkpoint,
    source: Source,
    settings: ExportSettings,
    folder: Path,
    evidence: dict[str, Any],
) -> Manifest:
    config = checkpoint.config
    parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    fp32 = Variant(
        files=variant_files(folder, "fp32"),
        providers=tuple(tier.name for tier in LADDER if "fp32" in tier.precisions),
        recipe={"exporter": "torch.onnx.export, dynamo"},
        evidence={"parity": evidence},
    )
    calibration, stated = read_calibration(source.folder)
    return Manifest(
        name=settings.name or source.name,
        source=ModelSource(
            checkpoint=source.name,
            licence=settings.licence or stated or UNSTATED,
            origin=source.origin,
            revision=source.revision,
            sha256=dict(checkpoint.files),
        ),
        architecture=Architecture(
            embed_dim=config.embed_dim,
            heads=config.num_heads,
            prenet_depth=config.prenet_depth,
            depth=config.depth,
            parameters=parameters,
            frontend_values=config.frontend_values,
        ),
        labels=checkpoint.labels,
        audio=audio_contract(checkpoint),
        tools={
            "emotion2vec-edge": __version__,
            **{name: importlib.metadata.version(name) for name in ("torch", "onnx")},
        },
        opset=OPSET,
        variants={"fp32": fp32},
        created=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        calibration=calibration,
    )

"""The export: a checkpoint is read, traced, compared and written as a bundle or a single graph."""

from __future__ import annotations

import datetime
import glob
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

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
from emotion2vec_edge.engine.bundle.schema import read_manifest
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_folder, printable, read_regular, temporary_folder
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.providers import LADDER
from emotion2vec_edge.engine.version import __version__

from .checkpoint.calibration import read_calibration
from .checkpoint.folder import Checkpoint, load_checkpoint
from .graph import OPSET, export_graphs, export_single_file
from .hub import Source
from .output import check_output
from .parity import Parity, check_bundle, check_single_file

UNSTATED = "not stated by the checkpoint; see where it comes from"

MOST_CARD_BYTES = 4 << 20


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an export."""

    output: Path
    name: str | None = None
    """Name of the model; None takes the checkpoint's."""
    licence: str | None = None
    """Licence of the weights, for ``bundle.json``; None takes the checkpoint's."""
    overwrite: bool = False
    """Replace an output that exists."""


def export_bundle(
    source: Source, settings: ExportSettings, progress: Progress = no_progress
) -> Manifest:
    """Export a checkpoint as a bundle of its fp32 variant.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ParityError: the graphs do not give the model's numbers; nothing is written.
        OptionError: the output exists.
        OutputError: the output cannot be written.
    """
    check_output(settings.output, MANIFEST, overwrite=settings.overwrite)
    progress("reading the checkpoint")
    checkpoint = load_checkpoint(source.folder)
    with atomic_folder(settings.output, MANIFEST) as folder:
        variant = folder / "fp32"
        variant.mkdir()
        progress("tracing to ONNX")
        export_graphs(checkpoint.model, variant, checkpoint.labels, audio_contract(checkpoint))
        parity = check_bundle(checkpoint.model, variant, progress)
        manifest = _manifest(checkpoint, source, settings, folder, parity)
        if not _copy_card(source.folder / CARD, folder / CARD):
            progress(f"{CARD} of the checkpoint was not copied: only a regular file is")
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        read_manifest(folder / MANIFEST)  # a name or a licence may be text that none can hold
    return manifest


def export_merged(
    source: Source, settings: ExportSettings, progress: Progress = no_progress
) -> Parity:
    """Export a checkpoint as one ``.onnx`` for other servers; raises as :func:`export_bundle`.

    Weights beyond 2 GB lie beside it, under a name of their own, so that the graph and its weights
    belong together whenever the process is stopped.
    """
    output = settings.output
    if output.suffix != ".onnx":
        raise OptionError(f"{output}: with --single-file the output ends in .onnx")
    check_output(output, None, overwrite=settings.overwrite)
    progress("reading the checkpoint")
    checkpoint = load_checkpoint(source.folder)
    with temporary_folder(output) as folder:
        progress("tracing to ONNX")
        graph = folder / output.name
        export_single_file(checkpoint.model, graph, checkpoint.labels, audio_contract(checkpoint))
        parity = check_single_file(checkpoint.model, graph, progress)
        weights = {file.name for file in folder.iterdir() if file != graph}
        for name in (*weights, output.name):
            (folder / name).replace(output.parent / name)
    for old in output.parent.glob(f"{glob.escape(output.stem)}-????????.data"):
        if old.name not in weights:
            old.unlink()
    return parity


def audio_contract(checkpoint: Checkpoint) -> AudioContract:
    """Input and frames of the model."""
    config = checkpoint.config
    return AudioContract(SAMPLE_RATE, config.hop, config.receptive_field, config.normalize)


def _copy_card(source: Path, target: Path) -> bool:
    """Copy the model card if there is one; False if it is a link, a device or too large.

    A checkpoint from elsewhere could have a link to a file of this machine under that name.
    """
    if not source.is_symlink() and not source.exists():
        return True
    try:
        content = read_regular(source, MOST_CARD_BYTES, follow=False)
    except OSError:
        return False
    target.write_bytes(content)
    return True


def _manifest(
    checkpoint: Checkpoint, source: Source, settings: ExportSettings, folder: Path, parity: Parity
) -> Manifest:
    config = checkpoint.config
    fp32 = Variant(
        files=variant_files(folder, "fp32"),
        providers=tuple(provider.name for provider in LADDER if "fp32" in provider.precisions),
        recipe={"exporter": "torch.onnx.export, dynamo"},
        evidence={"parity": parity.to_dict()},
    )
    calibration, licence = read_calibration(source.folder)
    return Manifest(
        name=printable(settings.name or source.name),
        source=ModelSource(
            checkpoint=printable(source.name),
            licence=settings.licence or licence or UNSTATED,
            origin=source.origin,
            revision=source.revision,
            sha256=dict(checkpoint.files),
        ),
        architecture=Architecture(
            embed_dim=config.embed_dim,
            heads=config.num_heads,
            prenet_depth=config.prenet_depth,
            depth=config.depth,
            parameters=sum(weight.numel() for weight in checkpoint.model.parameters()),
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

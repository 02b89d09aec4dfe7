"""``e2v finetune``: a head for other labels, all weights on new speech, or a new model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from emotion2vec_edge.engine.cli.progress import TerminalProgress
from emotion2vec_edge.engine.errors import MissingExtraError

from .memory import keep_freed_memory
from .options import batch_seconds_option, validation_option

if TYPE_CHECKING:
    from emotion2vec_edge.engine.corpora.labelled import LabelledClip

    from .training.train import TrainingSettings

TRAINING_EXTRAS = "pip install 'emotion2vec-edge[cpu,export,finetune]'"


@click.command()
@click.argument("model", required=False)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Labelled speech: a CSV (path,label,speaker,split), a folder per label, EmoBox's jsonl.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the new bundle or checkpoint.",
)
@click.option("--head", "mode", flag_value="head", help="Fit a new head on frozen embeddings.")
@click.option("--all", "mode", flag_value="all", help="Train all weights of a checkpoint.")
@click.option(
    "--new",
    metavar="SHAPE",
    help="Train a new model instead of MODEL: tiny, small, medium, or a config.yaml.",
)
@click.option(
    "--split",
    default="train",
    show_default=True,
    help="Split to take from the manifest; rows without a split are taken too.",
)
@click.option("--steps", type=click.IntRange(1), help="Training steps, with --all or --new.")
@click.option("--learning-rate", type=float, help="Highest learning rate.")
@batch_seconds_option
@validation_option
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of everything random in a training.",
)
@click.option("--licence", help="Licence of the new weights, recorded with them.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle or checkpoint that exists.")
def finetune(
    model: str | None, data: Path, output: Path, mode: Literal["head", "all"] | None,
    new: str | None, split: str, steps: int | None, learning_rate: float | None,
    batch_seconds: float | None, validation: float, seed: int, licence: str | None, overwrite: bool,
) -> None:  # fmt: skip
    """Fit MODEL to labelled speech.

    With --head, MODEL is a bundle (no torch is needed, and the result is a bundle) or a FunASR
    checkpoint (the result is one); any set of labels will do. With --all it is a checkpoint, whose
    labels the speech must have. A training that was stopped continues when the same command is
    given again.
    """
    from emotion2vec_edge.engine.corpora.labelled import read_corpus

    if new is None and model is None:
        raise click.UsageError("give MODEL, or --new SHAPE to train one from nothing")
    if new is not None and (model is not None or mode is not None):
        raise click.UsageError("--new trains from nothing: without MODEL, --head or --all")
    if new is None and mode is None:
        raise click.UsageError("give --head (minutes) or --all (hours)")
    if mode == "head" and (steps, learning_rate, batch_seconds) != (None, None, None):
        raise click.UsageError("--steps and its like are for --all and --new")
    clips = read_corpus(data, split)
    if mode == "head":
        click.echo(_fit_head(str(model), clips, output, overwrite=overwrite))
        return
    keep_freed_memory()
    try:
        from .training.train import TrainingSettings
    except ImportError as error:
        raise MissingExtraError(f"training needs torch ({error}): {TRAINING_EXTRAS}") from None
    settings = TrainingSettings(
        output=output, model=model, shape=new, validation=validation, licence=licence,
        overwrite=overwrite, seed=seed, steps=steps, learning_rate=learning_rate,
        batch_seconds=batch_seconds,
    )  # fmt: skip
    click.echo(_train(settings, clips))


def _fit_head(model: str, clips: Sequence[LabelledClip], output: Path, *, overwrite: bool) -> str:
    """Fit a head; returns the summary to print."""
    from .card import evidence_lines

    with TerminalProgress() as progress:
        if (Path(model) / "model.pt").is_file():
            try:
                from .checkpoint_head import finetune_checkpoint
            except ImportError as error:
                raise MissingExtraError(
                    f"a checkpoint's head needs torch ({error}): {TRAINING_EXTRAS}; a bundle's "
                    "does not"
                ) from None
            folder = Path(model)
            fitted = finetune_checkpoint(
                folder, clips, output, overwrite=overwrite, progress=progress
            )
        else:
            from .bundle_head import finetune_bundle

            _, fitted = finetune_bundle(
                model, clips, output, overwrite=overwrite, progress=progress
            )
    return "\n".join([f"{output}: a head for {', '.join(fitted.labels)}", *evidence_lines(fitted)])


def _train(settings: TrainingSettings, clips: Sequence[LabelledClip]) -> str:
    """Train; returns the summary to print."""
    from .card import calibration_line
    from .training.train import train

    with TerminalProgress() as progress:
        evidence = train(settings, clips, progress, progress.say)
    return (
        f"{settings.output}: mean UA {evidence.ua:.3f} on {evidence.held_out_clips} clips of "
        f"held-out {evidence.held_out_by}; "
        f"{calibration_line(evidence.calibration, evidence.held_out_clips)[2:]}; next: "
        f"e2v export {settings.output} -o BUNDLE --precision int8"
    )

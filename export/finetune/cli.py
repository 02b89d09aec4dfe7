"""``e2v finetune``: a head for one's own labels, all weights on own speech, or a new model."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import click

from emotion2vec_edge.engine.cli.progress import TerminalProgress
from emotion2vec_edge.engine.cli.signals import sigterm_interrupts
from emotion2vec_edge.engine.errors import MissingExtraError
from emotion2vec_edge.engine.progress import Progress

ARENA = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "MALLOC_TOP_PAD_": "268435456",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""glibc reads these when a process starts: it keeps freed memory instead of giving it back and
faulting it in again, page by page, at every step. Without, a step takes two to five times as long.
"""


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
    help="Train a new model instead of MODEL: small, or the path of a config.yaml.",
)
@click.option(
    "--split",
    default="train",
    show_default=True,
    help="Rows of this split are taken, and rows that name none.",
)
@click.option("--steps", type=click.IntRange(1), help="Training steps, with --all or --new.")
@click.option("--learning-rate", type=float, help="Highest learning rate.")
@click.option("--batch-seconds", type=click.FloatRange(2), help="Audio in one step, in seconds.")
@click.option(
    "--validation",
    type=click.FloatRange(0.01, 0.5),
    default=0.08,
    show_default=True,
    help="Share of the clips, as whole speakers, that is held out.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--licence", help="Licence of the new weights, recorded with them.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle or checkpoint that is there.")
def finetune(
    model: str | None, data: Path, output: Path, mode: str | None, new: str | None, split: str,
    steps: int | None, learning_rate: float | None, batch_seconds: float | None,
    validation: float, seed: int, licence: str | None, overwrite: bool,
) -> None:  # fmt: skip
    """Fit MODEL to labelled speech.

    With --head, MODEL is a bundle (no torch is needed, and the result is a bundle) or a FunASR
    checkpoint (the result is one); any set of labels will do. With --all it is a checkpoint, whose
    labels the speech must have. A training that was stopped goes on when the same command is given
    again.
    """
    from emotion2vec_edge.engine.corpora.labelled import read_corpus

    if new is None and model is None:
        raise click.UsageError("give MODEL, or --new SHAPE to train one from nothing")
    if new is not None and (model is not None or mode is not None):
        raise click.UsageError("--new trains from nothing: without MODEL, --head or --all")
    if new is None and mode is None:
        raise click.UsageError("give --head (minutes) or --all (hours)")
    clips = read_corpus(data, split)
    progress = TerminalProgress()
    if mode == "head":
        if any(value is not None for value in (steps, learning_rate, batch_seconds)):
            raise click.UsageError("--steps and its like are for --all and --new")
        with progress:
            summary = _head(str(model), clips, output, overwrite=overwrite, progress=progress)
        click.echo(summary)
        return
    _keep_memory()
    try:
        from .training.train import TrainingSettings, train
    except ImportError as error:
        raise MissingExtraError(
            f"training needs torch ({error}): pip install 'emotion2vec-edge[cpu,export,finetune]'"
        ) from None
    changed = {"steps": steps, "learning_rate": learning_rate, "batch_seconds": batch_seconds}
    order = TrainingSettings(
        output=output,
        model=model,
        shape=new,
        validation=validation,
        licence=licence,
        overwrite=overwrite,
        changed={k: v for k, v in {**changed, "seed": seed}.items() if v is not None},
    )
    with progress, sigterm_interrupts():
        facts = train(order, clips, progress, progress.say)
    click.echo(
        f"{output}: mean UA {facts['ua']:.3f} on {facts['held_out_clips']} clips of held-out "
        f"{facts['who']}; temperature {facts['temperature']:.2f}, ECE {facts['ece_before']:.3f} → "
        f"{facts['ece']:.3f}; next: e2v export {output} -o BUNDLE --precision int8"
    )


def _head(model: str, clips: Any, output: Path, *, overwrite: bool, progress: Progress) -> str:
    from .card import fitted_lines

    if (Path(model) / "model.pt").is_file():
        try:
            from .checkpoint_head import finetune_checkpoint
        except ImportError as error:
            raise MissingExtraError(
                f"a checkpoint's head needs torch ({error}): pip install "
                "'emotion2vec-edge[cpu,export,finetune]'; a bundle's does not"
            ) from None
        fitted = finetune_checkpoint(
            Path(model), clips, output, overwrite=overwrite, progress=progress
        )
    else:
        from .bundle_head import finetune_bundle

        _, fitted = finetune_bundle(model, clips, output, overwrite=overwrite, progress=progress)
    return "\n".join([f"{output}: a head for {', '.join(fitted.labels)}", *fitted_lines(fitted)])


def _keep_memory() -> None:
    """Start this process anew under :data:`ARENA`, once, where the C library is glibc."""
    if platform.libc_ver()[0] != "glibc" or "MALLOC_TOP_PAD_" in os.environ:
        return
    if Path(sys.argv[0]).name != "e2v":  # as a library, or in a test: the process is not ours
        return
    command = [sys.executable, "-m", "emotion2vec_edge.engine.cli", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **ARENA})  # noqa: S606 - our own arguments

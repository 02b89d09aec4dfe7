"""``e2v distill``: a small model learns from a large one."""

from __future__ import annotations

from pathlib import Path

import click

from emotion2vec_edge.engine.cli.options import offline_option
from emotion2vec_edge.engine.cli.progress import TerminalProgress
from emotion2vec_edge.engine.errors import MissingExtraError

from ..finetune.cli import TRAINING_EXTRAS
from ..finetune.memory import keep_freed_memory
from ..finetune.options import batch_seconds_option, validation_option
from ..hub import Hub, hub_option
from .settings import DEVICES, LABEL_SOURCES, Device, DistillationSettings, LabelSource


def _integers(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """``3,4`` → (3, 4)."""
    try:
        return None if value is None else tuple(map(int, value.split(",")))
    except ValueError:
        raise click.BadParameter(f"{value!r}: give whole numbers, such as 3,4") from None


def _speeds(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    """``0.9,1`` → (0.9, 1.0)."""
    if value is None:
        return None
    try:
        speeds = tuple(dict.fromkeys(map(float, value.split(","))))
    except ValueError:
        raise click.BadParameter(f"{value!r}: give numbers, such as 0.9,1") from None
    if not all(0.5 <= speed <= 2 for speed in speeds) or 1 not in speeds:
        raise click.BadParameter(f"{value}: give speeds from 0.5 to 2, 1 among them")
    return speeds


@click.command()
@click.argument("teachers", metavar="TEACHER...", nargs=-1, required=True)
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Speech: a CSV (path,label,speaker,split), a folder per label, EmoBox's jsonl; rows "
    "without a label are welcome. May be given more than once.",
)
@click.option(
    "--unlabelled",
    multiple=True,
    metavar="AUDIO",
    help="Recordings without labels: a folder, a pattern, a list. May be given more than once.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the student, a FunASR checkpoint.",
)
@click.option(
    "--shape",
    default="small",
    show_default=True,
    help="The student: tiny, small, medium, wide, or the path of a config.yaml.",
)
@click.option(
    "--student",
    "students",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="CHECKPOINT",
    help="Go on with the weights of a student that was trained before, or with the mean of "
    "several; blocks that --shape has more pass on what they get at first.",
)
@click.option(
    "--inherit",
    is_flag=True,
    help="Begin with the first blocks of TEACHER, a Whisper as wide as --shape (wide, for Whisper "
    "base), or go on with a --student that began so; with --live.",
)
@click.option(
    "--labels-from",
    type=click.Choice(LABEL_SOURCES),
    help="Emotions from the teacher's answers, the data's labels, or both; by default both, as far "
    "as they are there.",
)
@click.option(
    "--tune-teacher",
    is_flag=True,
    help="First fine-tune a Whisper on the labelled speech; kept in STUDENT.teacher.",
)
@click.option("--tune-steps", type=click.IntRange(1), help="Steps of that fine-tuning.")
@click.option(
    "--teacher-layers",
    metavar="NUMBERS",
    callback=_integers,
    help="Layers of a Whisper to teach, such as 3,4,5,6; by default the later half.",
)
@click.option("--teacher-licence", help="Licence of the teacher, named in the student's card.")
@click.option(
    "--live",
    is_flag=True,
    help="The teacher hears every crop as it is made, in other voices and "
    "at any speed, and two clips in one: slower, "
    "without a cache, and better on strange voices.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder of the teacher's frames; by default one in the cache folder.",
)
@click.option(
    "--speeds",
    metavar="NUMBERS",
    callback=_speeds,
    help="Speeds at which each clip is heard; 0.9,1,1.12 by default.",
)
@click.option(
    "--unlabelled-share",
    type=click.FloatRange(0, 1),
    help="Share of the clips of a step without a label, where there are both; 0.5 by default.",
)
@click.option("--temperature", type=click.FloatRange(0.5, 20), help="Softens the answers.")
@click.option(
    "--split",
    default="train",
    show_default=True,
    help="Split to take from a CSV; rows without a split are taken too.",
)
@click.option("--steps", type=click.IntRange(1), help="Training steps of the student.")
@click.option("--learning-rate", type=float, help="Highest learning rate of the student.")
@batch_seconds_option
@validation_option
@click.option(
    "--leave-out",
    multiple=True,
    metavar="CORPUS",
    help="Also hold out a whole corpus of the labelled speech. May be given more than once.",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="cpu",
    show_default=True,
    help="Where teacher and student run.",
)
@hub_option
@offline_option
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of everything random.",
)
@click.option("--licence", help="Licence of the student, recorded with it.")
@click.option("--overwrite", is_flag=True, help="Replace a checkpoint that exists.")
def distill(
    teachers: tuple[str, ...], data: tuple[Path, ...], unlabelled: tuple[str, ...], output: Path,
    shape: str, students: tuple[Path, ...], inherit: bool,
    labels_from: LabelSource | None, tune_teacher: bool,
    tune_steps: int | None,
    teacher_layers: tuple[int, ...] | None, teacher_licence: str | None,
    live: bool, cache: Path | None, speeds: tuple[float, ...] | None,
    unlabelled_share: float | None, temperature: float | None,
    split: str, steps: int | None, learning_rate: float | None, batch_seconds: float | None,
    validation: float, leave_out: tuple[str, ...], device: Device, hub: Hub, offline: bool,
    seed: int, licence: str | None, overwrite: bool,
) -> None:  # fmt: skip
    """Teach a small model what TEACHER hears.

    TEACHER is a bundle, a FunASR checkpoint, or a Whisper encoder in Hugging Face's format: a
    folder, a name or a hub id such as openai/whisper-base. The student learns the teacher's frames
    and answers on recordings that need no labels, and from labels where there are some. A
    distillation that was stopped continues when the same command is given again.
    """
    from emotion2vec_edge.engine.corpora.labelled import read_corpus

    if not data and not unlabelled:
        raise click.UsageError("give --data, --unlabelled, or both")
    if tune_steps is not None and not tune_teacher:
        raise click.UsageError("--tune-steps is for --tune-teacher")
    if live and (cache is not None or speeds is not None):
        raise click.UsageError("--live has no cache, and takes any speed: no --cache, no --speeds")
    if inherit and not live:
        raise click.UsageError("--inherit needs --live")
    clips = [clip for path in data for clip in read_corpus(path, split)]
    keep_freed_memory()
    try:
        from .data import unlabelled_clips
        from .distillation import distill as distil
    except ImportError as error:
        raise MissingExtraError(f"distillation needs torch ({error}): {TRAINING_EXTRAS}") from None
    settings = DistillationSettings(
        output=output, teachers=teachers, shape=shape, students=students, inherit=inherit,
        labels_from=labels_from,
        tune_teacher=tune_teacher, tune_steps=tune_steps, teacher_layers=teacher_layers,
        teacher_licence=teacher_licence, live=live, cache=cache, validation=validation,
        leave_out=leave_out, licence=licence,
        device=device, hub=hub, offline=offline, overwrite=overwrite, seed=seed, steps=steps,
        learning_rate=learning_rate, batch_seconds=batch_seconds, temperature=temperature,
        unlabelled_share=unlabelled_share, speeds=speeds,
    )  # fmt: skip
    with TerminalProgress() as progress:
        clips += unlabelled_clips(unlabelled)
        evidence = distil(settings, clips, progress, progress.say)
    student = evidence.student
    agreement = "" if evidence.agreement is None else f"{evidence.agreement:.1%} as the teacher; "
    click.echo(
        f"{output}: mean UA {student.ua:.3f} against {evidence.truth} of {student.held_out_clips} "
        "held-out clips; "
        f"{agreement}next: e2v export {output} -o BUNDLE --precision int8"
    )

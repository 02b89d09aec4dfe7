"""A whole distillation: from teachers and speech to a checkpoint folder that FunASR loads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotion2vec_edge.engine.bundle.manifest import CARD
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError, ProviderError
from emotion2vec_edge.engine.files import cache_folder, printable, reported, write_file
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.hardware import usable_threads

from ..checkpoint.calibration import write_calibration
from ..checkpoint.config import read_config
from ..checkpoint.folder import WEIGHTS, write_checkpoint
from ..checkpoint.labels import parse_label
from ..finetune.embeddings import logits_of
from ..finetune.training.initialization import new_document
from ..finetune.training.log import Report
from ..finetune.training.recipe import bfloat16_is_faster
from ..finetune.training.run import Run
from ..finetune.training.state import STATE, load_state
from ..finetune.training.train import UNSTATED, measured
from ..model.emotion2vec import Emotion2vec
from ..output import check_output
from .data import DistillationData, answered, load_data, without_unknown_labels
from .evidence import DistillationEvidence, student_card
from .labels import label_source, tokens_of
from .lessons.batches import DistillationBatch, DistillationBatches, answers_of
from .lessons.cache import ClipAtSpeed, RowCache
from .lessons.crops import CachedCrops, CropSource, Lesson, LiveCrops
from .lessons.listening import listen, means_of
from .recipe import DistillationRecipe, TuningRecipe, inheriting
from .settings import Device, DistillationSettings, LabelSource
from .students.beginning import Beginning, read_beginning
from .students.heir import Heir
from .students.inheritance import Inheritance, check_heir, inherit
from .students.learner import Student
from .teachers.base import Teacher, check_frames
from .teachers.emotion2vec import contract_of
from .teachers.opening import open_teacher
from .teachers.whisper import WhisperTeacher
from .tuning import tune

CACHES = "distill"
"""Folder of the rows inside the cache folder."""
LIVE_SPEED = (0.7, 1.4)
"""Slowest and fastest crop of those that the teachers hear as they are made."""


def distill(
    settings: DistillationSettings,
    clips: Sequence[LabelledClip],
    progress: Progress = no_progress,
    tell: Callable[[str], object] = lambda _: None,
) -> DistillationEvidence:
    """Distil, or continue a distillation that was stopped; write a FunASR checkpoint folder.

    Args:
        settings: the teachers, the output, and what differs from the recipe.
        clips: speech with labels, without them, or both.
        progress: receives the progress of each step.
        tell: receives lines that stay.

    Returns:
        the measurements on held-out clips.

    Raises:
        OptionError: unusable speech or teachers, an output that exists, a cache of another
            teacher, or settings that differ from those of the stopped distillation.
        ModelError: a teacher cannot be read.
        OutputError: the disk has no room, or fails.
        ProviderError: there is no such device.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved.
    """
    device = _device(settings.device)
    # Beside a GPU the processors make the sounds, in threads of their own.
    torch.set_num_threads(usable_threads() if device.type == "cpu" else 1)
    if not (settings.output / STATE).is_file():
        check_output(settings.output, WEIGHTS, overwrite=settings.overwrite)
    document = new_document(settings.shape)
    teachers = _teachers(settings, document, device)
    tokens = tokens_of(settings, teachers)
    labels = [parse_label(token).id for token in tokens]
    if settings.labels_from == "teacher":
        clips = without_unknown_labels(clips, labels, tell)
    labels_from = label_source(settings, teachers, clips)
    folder = settings.cache or cache_folder() / CACHES
    students = read_beginning(settings.students, document, tokens, tell)
    data = load_data(clips, labels, settings.validation, settings.leave_out, folder, progress, tell)
    if settings.tune_teacher:
        teachers = [_tuned(settings, teachers, tokens, data, device, progress, tell)]
    teachers, beginning = _bequeathed(settings, document, teachers, students, data, device)
    recipe = _recipe(settings, document, beginning, teachers, data, labels_from)
    source, answers = _lesson(settings, teachers, data, recipe, device, progress, tell)
    if not len(data.labelled) and answers is not None:
        data = dataclasses.replace(data, validation=answered(data.validation, answers))
    with reported(settings.output):
        run = _run(settings, document, beginning, recipe, data, source, len(tokens), device)

        def on_report(report: Report) -> None:
            progress("distilling", report.step, recipe.steps)
            if report.ua is not None:
                tell(f"step {report.step}: loss {report.loss:.3f}, held-out UA {report.ua:.3f}")

        run.on_report = on_report
        run.train()
        evidence = _finish(settings, document, run, tokens, teachers, data, labels_from, answers)
        (settings.output / STATE).unlink(missing_ok=True)
    return evidence


def _device(name: Device) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ProviderError(
            "--device cuda: torch finds no CUDA device here; install a torch for CUDA and its "
            "driver, or give --device cpu"
        )
    return torch.device(name)


def _teachers(
    settings: DistillationSettings, document: dict[str, Any], device: torch.device
) -> list[Teacher]:
    check_frames(settings.shape, contract_of(read_config(document)))
    teachers = [
        open_teacher(
            source, settings.teacher_layers, device, hub=settings.hub, offline=settings.offline
        )
        for source in settings.teachers
    ]
    if settings.teacher_licence is not None:
        for teacher in teachers:
            teacher.licence = settings.teacher_licence
    if settings.tune_teacher and not (
        len(teachers) == 1
        and isinstance(teachers[0], WhisperTeacher)
        and teachers[0].tuning is None
    ):
        raise OptionError(
            "--tune-teacher is for a single Whisper that was not tuned before; others have a head: "
            "fit it with e2v finetune"
        )
    if settings.inherit:
        check_heir(settings.shape, document, teachers)
    return teachers


def _recipe(
    settings: DistillationSettings,
    document: dict[str, Any],
    beginning: Beginning | Inheritance,
    teachers: Sequence[Teacher],
    data: DistillationData,
    source: LabelSource,
) -> DistillationRecipe:
    names = (
        "seed", "steps", "learning_rate", "batch_seconds", "temperature", "unlabelled_share",
        "speeds",
    )  # fmt: skip
    given = {name: getattr(settings, name) for name in names}
    recipe = DistillationRecipe(
        **{name: value for name, value in given.items() if value is not None},
        teachers=tuple(teacher.key for teacher in teachers),
        data=data.checksum(),
        student=beginning.checksum,
        shape=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
        bfloat16=_bfloat16(settings, settings.output),
    )
    if settings.live:
        augmentation = dataclasses.replace(recipe.augmentation, speed=LIVE_SPEED, other_share=0.0)
        recipe = dataclasses.replace(recipe, speeds=(), augmentation=augmentation)
    elif 1.0 not in recipe.speeds:
        raise OptionError("--speeds lacks 1, at which the student is measured")
    # A short training has few steps for the spectrum alone, and a trained front-end needs none.
    most = 0 if recipe.student else recipe.steps // 10
    recipe = dataclasses.replace(recipe, frontend_steps=min(recipe.frontend_steps, most))
    if settings.inherit:
        recipe = inheriting(recipe, new=not settings.students)
    if source == "teacher":
        recipe = dataclasses.replace(recipe, labels_weight=0.0)
    if source == "data":
        recipe = dataclasses.replace(recipe, answers_weight=0.0)
    return recipe


def _bfloat16(settings: DistillationSettings, folder: Path) -> bool:
    """The arithmetic of a training; one that was stopped continues in that which it began in."""
    state = load_state(folder)
    if state is not None:
        return bool(state.recipe.get("bfloat16"))
    return settings.device == "cuda" or bfloat16_is_faster()


def _tuned(
    settings: DistillationSettings, teachers: Sequence[Teacher], tokens: tuple[str, ...],
    data: DistillationData, device: torch.device, progress: Progress,
    tell: Callable[[str], object],
) -> Teacher:  # fmt: skip
    teacher = teachers[0]
    if not isinstance(teacher, WhisperTeacher):
        raise TypeError("only a Whisper is tuned")
    recipe = TuningRecipe(
        seed=settings.seed, teacher=teacher.key, data=data.checksum(),
        bfloat16=_bfloat16(settings, settings.tuned),
    )  # fmt: skip
    if settings.tune_steps is not None:
        recipe = dataclasses.replace(recipe, steps=settings.tune_steps)
    speech = (data.labelled, data.validation)
    tuned = tune(teacher, settings.tuned, tokens, recipe, speech, device, progress, tell)
    tuned.licence = teacher.licence
    return tuned


def _bequeathed(
    settings: DistillationSettings, document: dict[str, Any], teachers: list[Teacher],
    students: Beginning, data: DistillationData, device: torch.device,
) -> tuple[list[Teacher], Beginning | Inheritance]:  # fmt: skip
    """The teachers, and what to begin with: a teacher's blocks if the student inherits them."""
    if not settings.inherit:
        return teachers, students
    speech = data.training.waves
    inheritance = inherit(settings.shape, document, teachers, students, speech, device)
    return [inheritance.teacher], inheritance


def _lesson(
    settings: DistillationSettings, teachers: Sequence[Teacher], data: DistillationData,
    recipe: DistillationRecipe, device: torch.device, progress: Progress,
    tell: Callable[[str], object],
) -> tuple[CropSource, NDArray[np.float32] | None]:  # fmt: skip
    """The crops to learn from, and the teachers' logits for the held-out clips [clips, labels]."""
    held = data.validation
    if settings.live:
        means = [means_of(teacher, held.waves, device) for teacher in teachers]
        source: CropSource = LiveCrops(data.training, teachers, recipe, device)
    else:
        lessons = [
            Lesson(
                teacher, _filled(settings, number, teacher, data, recipe, device, progress, tell)
            )
            for number, teacher in enumerate(teachers)
        ]
        clips = [ClipAtSpeed(name, 1.0) for name in data.validation_checksums]
        means = [
            np.array([lesson.cache[clip].mean(axis=0, dtype=np.float32) for clip in clips])
            for lesson in lessons
        ]
        source = CachedCrops(data.training, data.checksums, lessons, recipe, device)
    answers = answers_of(teachers, [torch.from_numpy(mean).to(device) for mean in means])
    return source, None if answers is None else answers.cpu().numpy()


def _filled(
    settings: DistillationSettings, number: int, teacher: Teacher, data: DistillationData,
    recipe: DistillationRecipe, device: torch.device, progress: Progress,
    tell: Callable[[str], object],
) -> RowCache:  # fmt: skip
    """The cache of a teacher with its rows of all clips, which are computed where they lack."""
    folder = settings.cache
    if folder is None:
        folder = cache_folder() / CACHES / teacher.key[:16]
    elif len(settings.teachers) > 1:
        folder = folder / str(number)
    cache = RowCache(folder, teacher)
    wanted = {
        ClipAtSpeed(name, speed): wave
        for speed in recipe.speeds
        for name, wave in zip(data.checksums, data.training.waves, strict=True)
    }
    held = zip(data.validation_checksums, data.validation.waves, strict=True)
    wanted |= {ClipAtSpeed(name, 1.0): wave for name, wave in held}
    listen(teacher, cache, wanted, device, bfloat16=recipe.bfloat16, progress=progress, tell=tell)
    return cache


def _run(
    settings: DistillationSettings, document: dict[str, Any], beginning: Beginning | Inheritance,
    recipe: DistillationRecipe, data: DistillationData, source: CropSource, labels: int,
    device: torch.device,
) -> Run[Emotion2vec, DistillationBatch]:  # fmt: skip
    # Everything that is created from here on, the readers too, depends on the seed alone.
    torch.manual_seed(recipe.seed)
    model = beginning.model(document, labels, recipe.seed)
    kind = Heir if settings.inherit else Student
    student = kind(model, labels, recipe, source.teachers).to(device)
    batches = DistillationBatches(data.training, source, recipe, labels, device)
    return Run(settings.output, recipe, student, batches, data.validation, logits_of)


def _finish(
    settings: DistillationSettings, document: dict[str, Any],
    run: Run[Emotion2vec, DistillationBatch], tokens: Sequence[str], teachers: Sequence[Teacher],
    data: DistillationData, labels_from: LabelSource, answers: NDArray[np.float32] | None,
) -> DistillationEvidence:  # fmt: skip
    """Write the checkpoint with the averaged weights, its calibration, card and picture."""
    output, licence = settings.output, settings.licence or UNSTATED
    named = " and ".join(teacher.name for teacher in teachers)
    with run.averaged() as model:
        logits = logits_of(model, run.validation)
        write_checkpoint(output, document, model, tokens)
    agreement = None
    if answers is not None:
        agreement = round(float((answers.argmax(axis=1) == logits.argmax(axis=1)).mean()), 4)
    evidence = DistillationEvidence(
        measured(f"A small emotion2vec that learned from {named}.", run, data.training, logits),
        tuple(teacher.description for teacher in teachers),
        labels_from,
        len(data.labelled),
        agreement,
    )
    calibration = evidence.student.calibration if evidence.labelled_clips else None
    write_calibration(output, calibration, licence)
    card = student_card(printable(output.resolve().name), evidence, licence)
    write_file(output / CARD, card.encode())
    run.log.plot()
    return evidence

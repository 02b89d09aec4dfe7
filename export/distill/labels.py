"""The labels of a student, and the source of the emotions that it learns."""

from __future__ import annotations

from collections.abc import Sequence

from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError

from ..checkpoint.labels import PLUS_TOKENS
from .settings import DistillationSettings, LabelSource
from .teachers.base import Teacher


def tokens_of(settings: DistillationSettings, teachers: Sequence[Teacher]) -> tuple[str, ...]:
    """Lines of the student's ``tokens.txt``: the labels of its teachers, else emotion2vec+'s."""
    known = [teacher for teacher in teachers if teacher.labels]
    for teacher in known[1:]:
        if [label.id for label in teacher.labels] != [label.id for label in known[0].labels]:
            raise OptionError(
                f"{known[0].name} and {teacher.name} answer with different labels; give teachers "
                "with the same, or one of them"
            )
    if not known or settings.tune_teacher:
        return PLUS_TOKENS
    return tuple(label.token for label in known[0].labels)


def label_source(
    settings: DistillationSettings, teachers: Sequence[Teacher], clips: Sequence[LabelledClip]
) -> LabelSource:
    """The source of the emotions, as far as there is one."""
    answers = settings.tune_teacher or any(teacher.labels for teacher in teachers)
    labels = any(clip.label for clip in clips)
    wanted = settings.labels_from
    if not labels and settings.tune_teacher:
        raise OptionError("--tune-teacher needs labelled speech; no clip of --data has a label")
    if wanted in ("teacher", "both") and not answers:
        raise OptionError(
            f"--labels-from {wanted}: the teacher gives no answers; give --tune-teacher, or "
            "--labels-from data"
        )
    if wanted in ("data", "both") and not labels:
        raise OptionError(
            f"--labels-from {wanted}: no clip has a label; give labelled speech, or --labels-from "
            "teacher"
        )
    if not answers and not labels:
        raise OptionError(
            "neither does the teacher give answers nor has a clip a label: the student would know "
            "no emotion; give labelled speech, or a teacher with a head"
        )
    return wanted or ("both" if answers and labels else "teacher" if answers else "data")

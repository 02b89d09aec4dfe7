"""Measurements of a finished distillation."""

from __future__ import annotations

from dataclasses import dataclass

from ..finetune.card import WEAKNESSES, calibration_line, card
from ..finetune.evidence import TrainingEvidence
from .settings import LabelSource


@dataclass(frozen=True)
class DistillationEvidence:
    """Facts for the card and the person who distils."""

    student: TrainingEvidence
    """Measured against the labels of held-out clips; where no clip has one, against the teachers'
    answers."""
    teachers: tuple[str, ...]
    """Name, checksum, layers and licence of each teacher, one line each."""
    labels_from: LabelSource
    labelled_clips: int
    """Clips with a label among those that were learned from."""
    agreement: float | None
    """Share of the held-out clips with the teachers' answer; None for teachers without answers."""

    @property
    def truth(self) -> str:
        """The answers that the student was measured against."""
        return "labels" if self.labelled_clips else "the teacher's answers"


def student_card(name: str, evidence: DistillationEvidence, licence: str) -> str:
    """The card of a student."""
    student = evidence.student
    corpora = ", ".join(f"{corpus} {ua:.3f}" for corpus, ua in student.corpora.items())
    lines = [f"- licence: {licence}"]
    lines += [f"- teacher: {teacher}" for teacher in evidence.teachers]
    lines += [
        f"- learned from {student.clips} clips ({student.hours:.1f} h), {evidence.labelled_clips} "
        f"of them with labels, {student.steps} steps; emotions from {evidence.labels_from}",
        f"- measured on {student.held_out_clips} clips of {student.held_out_speakers} "
        f"{student.held_out_by} that were held out: mean UA {student.ua:.3f} against "
        f"{evidence.truth} ({corpora})",
    ]
    if evidence.agreement is not None:
        lines.append(f"- the teacher's answer on {evidence.agreement:.1%} of those clips")
    if evidence.labelled_clips:
        lines.append(calibration_line(student.calibration, student.held_out_clips))
    return card(name, student.origin, [*lines, "", WEAKNESSES])

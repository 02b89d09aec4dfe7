"""Model cards of heads and checkpoints that were trained here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotion2vec_edge.engine.settings import LEAST_CALIBRATION_CLIPS

if TYPE_CHECKING:
    from emotion2vec_edge.engine.bundle.manifest import Calibration, Manifest

    from .evidence import TrainingEvidence
    from .fitting import FittedHead, HeadEvidence

WEAKNESSES = (
    "Known weaknesses: what was not in the training speech (other languages, spontaneous speech, "
    "children, telephone, noise) is recognized worse, and no figure above says by how much. Not "
    "for decisions about people: hiring, policing, medicine, credit."
)


def head_card(manifest: Manifest, fitted: FittedHead) -> str:
    """The card of a bundle with a new head."""
    source = manifest.source
    return card(
        manifest.name,
        f"{source.checkpoint} with a new emotion head, fitted on the user's own speech. The "
        "encoder is unchanged.",
        [
            f"- labels: {', '.join(fitted.labels)}",
            f"- licence of the encoder: {source.licence}",
            *evidence_lines(fitted),
            "",
            WEAKNESSES,
        ],
    )


def checkpoint_head_card(name: str, origin: str, fitted: FittedHead) -> str:
    """The card of a checkpoint with a new head."""
    return card(name, f"{origin} with a new emotion head.", evidence_lines(fitted))


def training_card(name: str, evidence: TrainingEvidence, licence: str) -> str:
    """The card of a checkpoint whose weights were trained here."""
    corpora = ", ".join(f"{corpus} {ua:.3f}" for corpus, ua in evidence.corpora.items())
    return card(
        name,
        evidence.origin,
        [
            f"- licence: {licence}",
            f"- trained on {evidence.clips} clips ({evidence.hours:.1f} h) of {evidence.speakers} "
            f"{evidence.held_out_by}, {evidence.steps} steps",
            f"- measured on {evidence.held_out_clips} clips of {evidence.held_out_speakers} "
            f"{evidence.held_out_by} that were held out: mean UA {evidence.ua:.3f} ({corpora})",
            calibration_line(evidence.calibration, evidence.held_out_clips),
            "",
            f"The held-out {evidence.held_out_by} chose nothing but the temperature. A test on "
            "speech that was put aside before says more: `e2v bench accuracy`.",
            "",
            WEAKNESSES,
        ],
    )


def evidence_lines(fitted: FittedHead) -> list[str]:
    """A head's measurements as the lines of a list."""
    evidence: HeadEvidence = fitted.evidence
    held_out = "recordings" if evidence.speakers is None else "speakers"
    lines = [
        f"- fitted on {evidence.clips} clips"
        + (f" of {evidence.speakers} speakers" if evidence.speakers else "")
        + f"; measured on {held_out} that were held out, in {evidence.folds} folds:",
        f"- UA {evidence.ua:.3f}, WA {evidence.wa:.3f}"
        + ("" if evidence.ua_before is None else f"; UA before {evidence.ua_before:.3f}"),
        "- recall: " + ", ".join(f"{k} {v:.2f}" for k, v in evidence.recalls.items()),
        calibration_line(fitted.calibration, evidence.clips),
    ]
    if evidence.speakers is None:
        lines.append(
            "- the speakers were not known, so the same voice may be on both sides: expect less on "
            "new people"
        )
    return lines


def calibration_line(calibration: Calibration | None, clips: int) -> str:
    """The calibration by so many held-out clips, as a line of a list."""
    if calibration is None:
        return (
            f"- not calibrated: a temperature needs {LEAST_CALIBRATION_CLIPS} held-out clips, and "
            f"there were {clips}"
        )
    return (
        f"- calibration error (ECE) {calibration.ece:.3f}, {calibration.ece_before:.3f} before a "
        f"temperature of {calibration.temperature:.2f}, fitted on {clips} held-out clips"
    )


def card(title: str, summary: str, lines: list[str]) -> str:
    """A card of a title, a sentence and lines."""
    return "\n".join([f"# {title}", "", summary, "", *lines, ""])

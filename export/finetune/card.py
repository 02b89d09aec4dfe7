"""The model card that lies beside what was trained here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotion2vec_edge.engine.bundle.manifest import Manifest

    from .fitting import FittedHead


def head_card(manifest: Manifest, fitted: FittedHead) -> str:
    """The card of a bundle with a head of its own."""
    source = manifest.source
    return "\n".join(
        [
            f"# {manifest.name}",
            "",
            f"{source.checkpoint} with a new emotion head, fitted on the user's own speech. The "
            "encoder is unchanged.",
            "",
            f"- labels: {', '.join(fitted.labels)}",
            f"- licence of the encoder: {source.licence}",
            *fitted_lines(fitted),
            "",
            WEAKNESSES,
            "",
        ]
    )


def fitted_lines(fitted: FittedHead) -> list[str]:
    """What was measured of a head, as a list."""
    evidence = fitted.evidence
    who = "recordings" if evidence["speakers"] is None else "speakers"
    lines = [
        f"- fitted on {evidence['clips']} clips"
        + (f" of {evidence['speakers']} speakers" if evidence["speakers"] else "")
        + f"; measured on {who} that were held out, in {evidence['folds']} folds:",
        f"- UA {evidence['ua']:.3f}, WA {evidence['wa']:.3f}"
        + ("" if evidence["ua_before"] is None else f"; UA before {evidence['ua_before']:.3f}"),
        "- recall: " + ", ".join(f"{k} {v:.2f}" for k, v in evidence["recalls"].items()),
        f"- calibration error (ECE) {evidence['ece']:.3f}, {evidence['ece_before']:.3f} before a "
        f"temperature of {fitted.temperature:.2f}",
    ]
    if evidence["speakers"] is None:
        lines.append(
            "- the speakers were not known, so the same voice may be on both sides: expect less on "
            "new people"
        )
    return lines


def training_card(name: str, facts: Mapping[str, Any], licence: str) -> str:
    """The card of a checkpoint whose weights were trained here."""
    corpora = facts["corpora"]
    lines = [
        f"# {name}",
        "",
        facts["origin"],
        "",
        f"- licence: {licence}",
        f"- trained on {facts['clips']} clips ({facts['hours']:.1f} h) of {facts['speakers']} "
        f"{facts['who']}, {facts['steps']} steps",
        f"- measured on {facts['held_out_clips']} clips of {facts['held_out_speakers']} "
        f"{facts['who']} that were held out: mean UA {facts['ua']:.3f} "
        f"({', '.join(f'{k} {v:.3f}' for k, v in corpora.items())})",
        f"- calibration error (ECE) {facts['ece']:.3f}, {facts['ece_before']:.3f} before a "
        f"temperature of {facts['temperature']:.2f}",
        "",
        f"The held-out {facts['who']} chose nothing but the temperature. A test on speech that was "
        "put aside before says more: `e2v bench accuracy`.",
        "",
        WEAKNESSES,
        "",
    ]
    return "\n".join(lines)


WEAKNESSES = (
    "Known weaknesses: what was not in the training speech (other languages, spontaneous speech, "
    "children, telephone, noise) is recognized worse, and no figure above says by how much. Not "
    "for decisions about people: hiring, policing, medicine, credit."
)

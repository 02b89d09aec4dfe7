"""Checks of labelled speech before anything is computed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError

LEAST_CLIPS = 5
"""Least number of clips of a label."""


def check_clips(clips: Sequence[LabelledClip], allowed: Sequence[str] | None) -> list[str]:
    """Refuse speech that cannot be learned from.

    Args:
        clips: the clips of the manifest.
        allowed: labels of the model; None allows any.

    Returns:
        the labels that occur, in the model's order, or in alphabetical order.

    Raises:
        OptionError: the speech cannot be learned from; the message lists all reasons and rows.
    """
    by_label = defaultdict(list)
    for clip in clips:
        by_label[clip.label].append(clip)
    problems = _row_problems(clips, allowed)
    found = [label for label in allowed or sorted(filter(None, by_label)) if label in by_label]
    if len(found) < 2 and not problems:
        problems.append(
            f"{'only the label ' + found[0] if found else 'no labelled clip at all'}; "
            "at least two labels are needed to tell them apart"
        )
    for label in found:
        few = by_label[label]
        if len(few) < LEAST_CLIPS:
            title = f"{len(few)} clips of {label}, and at least {LEAST_CLIPS} are needed"
            problems.append(listed(title, [clip.place for clip in few]))
    named = {(clip.corpus, clip.speaker) for clip in clips if clip.speaker}
    if len(named) == 1 and all(clip.speaker for clip in clips):
        problems.append(
            f"all clips are of the one speaker {next(iter(named))[1]}: nothing could be measured "
            "on people who were not learned from; add clips of at least one more speaker, or leave "
            "the column speaker out, and recordings are held out instead of speakers"
        )
    if problems:
        raise OptionError("the speech cannot be learned from:\n" + "\n".join(problems))
    return found


def _row_problems(clips: Sequence[LabelledClip], allowed: Sequence[str] | None) -> list[str]:
    """Problems of single rows."""
    problems = []
    if unlabelled := [clip.place for clip in clips if not clip.label]:
        problems.append(listed("without a label", unlabelled))
    gone = [clip for clip in clips if not clip.path.is_file() and not clip.embedding]
    if gone:
        problems.append(listed("no such file", [clip.place for clip in gone]))
    if allowed is not None:
        unknown = [f"{c.place} ({c.label})" for c in clips if c.label and c.label not in allowed]
        if unknown:
            title = f"labels that the model does not have; it has {', '.join(allowed)}"
            problems.append(listed(title, unknown))
    return problems


def listed(title: str, items: Sequence[str], most: int = 10) -> str:
    """A title, and the first few items below it."""
    shown = [f"  {item}" for item in items[:most]]
    if len(items) > most:
        shown.append(f"  and {len(items) - most} more")
    return "\n".join([f"{title}:", *shown])

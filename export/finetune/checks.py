"""Whether labelled speech can be learned from, said before anything is computed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError

LEAST_CLIPS = 5
"""Clips of a label that are needed at least."""


def check_clips(clips: Sequence[LabelledClip], allowed: Sequence[str] | None) -> list[str]:
    """Refuse a manifest that cannot be learned from, naming rows and what would be needed.

    Args:
        clips: what the manifest lists.
        allowed: labels that the model has; None allows any.

    Returns:
        the labels that occur, in the model's order, or in that of the alphabet.

    Raises:
        OptionError: with everything that is wrong at once.
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
            what = f"{len(few)} clips of {label}, and at least {LEAST_CLIPS} are needed"
            problems.append(listed(what, [clip.place for clip in few]))
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
    """What is wrong with single rows."""
    problems = []
    if unlabelled := [clip.place for clip in clips if not clip.label]:
        problems.append(listed("without a label", unlabelled))
    gone = [clip for clip in clips if not clip.path.is_file() and not clip.embedding]
    if gone:
        problems.append(listed("no such file", [clip.place for clip in gone]))
    if allowed is not None:
        unknown = [f"{c.place} ({c.label})" for c in clips if c.label and c.label not in allowed]
        if unknown:
            what = f"labels that the model does not have; it has {', '.join(allowed)}"
            problems.append(listed(what, unknown))
    return problems


def listed(what: str, items: Sequence[str], most: int = 10) -> str:
    """A line, and the first few items below it."""
    shown = [f"  {item}" for item in items[:most]]
    if len(items) > most:
        shown.append(f"  and {len(items) - most} more")
    return "\n".join([f"{what}:", *shown])

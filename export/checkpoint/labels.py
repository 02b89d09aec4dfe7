"""The labels of a checkpoint: ``tokens.txt``, one line for each output of the head."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from emotion2vec_edge.engine.bundle.manifest import Label
from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.engine.fields import shown
from emotion2vec_edge.engine.files import printable, read_regular

PLUS_TOKENS = (
    "生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral", "其他/other",
    "难过/sad", "吃惊/surprised", "<unk>",
)  # fmt: skip
"""The lines of emotion2vec+'s ``tokens.txt``."""

MOST_BYTES = 1 << 20
MOST_CHARACTERS = 100

UNUSED = "unuse"
"""Lines that begin with this name outputs that FunASR sets to −inf before its softmax."""


@dataclass(frozen=True)
class HeadLabels:
    """The labels of a head, and the outputs they belong to."""

    labels: tuple[Label, ...]
    outputs: tuple[int, ...]
    """Index of each label's output; unused outputs are left out, which gives the same scores."""


def read_labels(path: Path, outputs: int) -> HeadLabels:
    """Read ``tokens.txt`` for a head with so many outputs.

    Raises:
        CheckpointError: it is missing, unreadable, or does not fit the head.
    """
    name = printable(str(path))
    if not path.is_file():
        raise CheckpointError(
            f"{name}: missing; model.pt has a head of {outputs} outputs, and their names are there"
        )
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8")
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{name}: cannot be read as text: {detail}") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != outputs:
        raise CheckpointError(f"{name}: {len(lines)} labels for a head of {outputs} outputs")
    used = tuple(i for i, line in enumerate(lines) if not line.startswith(UNUSED))
    labels = tuple(parse_label(lines[i]) for i in used)
    for label in labels:
        if not all(
            part.isprintable() and 1 <= len(part) <= MOST_CHARACTERS
            for part in (label.id, label.display)
        ):
            raise CheckpointError(
                f"{name}: a label should be 1 to {MOST_CHARACTERS} printable characters, such as "
                f"生气/angry, found {shown(label.token)}"
            )
    ids = [label.id for label in labels]
    if len(set(ids)) < len(ids):
        twice = next(label for label, count in Counter(ids).items() if count > 1)
        raise CheckpointError(f"{name}: the label {twice} occurs twice")
    return HeadLabels(labels, used)


def parse_label(line: str) -> Label:
    """``生气/angry`` → id ``angry`` shown as 生气; ``<unk>`` → ``unknown``."""
    display, _, english = line.rpartition("/")
    if english == "<unk>":
        return Label("unknown", "unknown")
    return Label(english, display or english)

"""Damaged files of turns of every format: read, cut out of a recording, and written in all formats."""

import io
import re

import numpy as np
from mutation import mutated
from target import Target
from turn_files import FILES

from emotion2vec_edge.engine.errors import TurnFileError
from emotion2vec_edge.engine.results.report import TurnReport
from emotion2vec_edge.engine.results.types import Conversation, Turn
from emotion2vec_edge.engine.results.writers.registry import WRITERS
from emotion2vec_edge.engine.turns.cutting import cut_turns
from emotion2vec_edge.engine.turns.reader import read_turns

SECONDS = 6

ODD = (
    "", "0", "-1", "1e308", "-1e308", "1e-300", "nan", "inf", "99999999999999999999", "1.5.5", "<NA>",
    "x" * 5_000, "\u202e", "\x1b[2J", "\ud800", "\0", "00:00:99,999", "-->", "<exists>", '"', "{}",
    "[]", "null", "true", "\ufeff", "\u2028", "١٢", "1_0", "0x10", "&#x110000;", "<v ", "%s",
)  # fmt: skip
"""Words that stand in the place of others."""

PLACE = re.compile(
    r"line \d|entry \d|byte \d|no turns in it|cannot be read as JSON|neither WhisperX|ends at"
)
"""Where the damage lies; a document of JSON has no lines that it keeps."""


def seeds():
    """A file of each format; the first line is its name, which is not damaged."""
    return {name: f"{name}\n{text}".encode() for name, text in FILES.items()}


def mutate(content, rng, others):
    """Other words, or other bytes, or both."""
    name, body = content.split(b"\n", 1)
    if rng.random() < 0.6:
        words = re.split(r"(\W)", body.decode())
        for _ in range(rng.integers(1, 5)):
            words[rng.integers(len(words))] = ODD[rng.integers(len(ODD))]
        body = "".join(words).encode("utf-8", "surrogatepass")
    if rng.random() < 0.5:
        body = mutated(body, rng, [other.split(b"\n", 1)[1] for other in others])
    return name + b"\n" + body


def run(content, folder):
    """Read a file, cut its turns out of a recording, and write a report on them in each format."""
    name, body = content.split(b"\n", 1)
    path = folder / name.decode()
    path.write_bytes(body)
    blocks = [np.zeros(16_000, np.float32) for _ in range(SECONDS)]
    try:
        cut = list(cut_turns(blocks, read_turns(path), "call.wav"))
    except TurnFileError as error:
        str(error).encode()
        assert PLACE.search(str(error)), str(error)
        return "TurnFileError"
    scores = {"angry": 0.75, "sad": 0.25}
    turns = [
        Turn(
            one.turn.start, one.turn.end, one.turn.speaker, one.turn.text, "angry", 0.75, scores, ()
        )
        for one in cut
    ]
    assert all(0 <= turn.start < turn.end <= SECONDS for turn in turns)
    conversation = Conversation(tuple(turns), SECONDS, tuple(scores), (), "small", "cpu")
    for writer in WRITERS.values():
        out = io.StringIO()
        writing = writer(out, several=False)
        writing.write(TurnReport("call.wav", conversation))
        writing.close()
        assert "\x1b" not in out.getvalue()
    return "result"


TARGET = Target(seeds, run, mutate)

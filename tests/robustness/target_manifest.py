"""Manifests of bundles, damaged: read, shown, and used to recognize where they are accepted."""

import copy
import functools
import json
import os
import tempfile

import numpy as np
from click.testing import CliRunner
from mutation import mutated
from target import Target

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.bundle.locate import DEFAULT_NAME, EMBEDDED
from emotion2vec_edge.engine.cli.machine.info import info
from emotion2vec_edge.engine.errors import E2VError

EMBEDDED_BUNDLE = EMBEDDED / DEFAULT_NAME

ODD = (
    None, True, False, -1, 0, 1, 5, 1.5, 320.0, 16_000, 10**18, 10**30, -(10**30), 1e18, 1e-38,
    1e308, float("nan"), float("inf"), "", " ", "x" * 5_000, "\ud800", "\x1b[2J", "NaN", "16000",
    "../../etc/passwd", "/dev/zero", "fp32/encoder.onnx", "\u202e", [], {}, [[]], [None], [1, "a"],
    {"a": 1}, {"": ""}, "0" * 64,
)  # fmt: skip


@functools.cache
def seeds():
    """The embedded manifest, of both schemas, and one with every optional field."""
    # What was verified is remembered, so that a case takes no longer than it must.
    os.environ["E2V_CACHE"] = tempfile.mkdtemp(prefix="fuzz-cache-")
    document = json.loads((EMBEDDED_BUNDLE / "bundle.json").read_text(encoding="utf-8"))
    first = {
        key: value for key, value in document.items() if key not in ("head", "calibration", "space")
    }
    sourced = {**document["source"], "head": {"clips": 36, "recalls": {"sad": 0.5}}}
    documents = {
        "embedded": document,
        "schema 1": {**first, "schema": 1},
        "all fields": {**document, "source": sourced},
    }
    return {name: json.dumps(content).encode() for name, content in documents.items()}


def mutate(content, rng, others):
    """Mostly other values in the document, sometimes other bytes."""
    if rng.random() < 0.2:
        return mutated(content, rng, others)
    document = json.loads(content)
    for _ in range(rng.integers(1, 4)):
        holders = list(walk(document))
        _change(holders[rng.integers(len(holders))], holders, rng)
    return json.dumps(document).encode()


def walk(value):
    """All mappings and lists in a document that hold anything."""
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from walk(inner)


def _odd(rng):
    return copy.deepcopy(ODD[rng.integers(len(ODD))])


def _change(holder, holders, rng):
    key = (
        list(holder)[rng.integers(len(holder))]
        if isinstance(holder, dict)
        else int(rng.integers(len(holder)))
    )
    way = rng.random()
    if way < 0.6:
        holder[key] = _odd(rng)
    elif way < 0.7:
        del holder[key]
    elif way < 0.8:
        if isinstance(holder, dict):
            holder[str(_odd(rng))[:50]] = _odd(rng)
        else:
            holder.append(_odd(rng))
    elif way < 0.9:
        other = holders[rng.integers(len(holders))]
        holder[key] = copy.deepcopy(other)
    elif isinstance(holder, list):
        holder.append(holder[key])


def run(content, folder):
    """Read a manifest over the embedded model's files, and recognize with it."""
    for precision in ("fp32", "int8"):
        (folder / precision).symlink_to(EMBEDDED_BUNDLE / precision)
    (folder / "bundle.json").write_bytes(content)
    try:
        recognizer = Recognizer.load(folder, provider="cpu", threads=1)
        utterance = recognizer.recognize(np.random.default_rng(0).normal(0, 0.1, 8_000), 16_000)
    except E2VError as error:
        str(error).encode()
        return type(error).__name__
    scores = list(utterance.scores.values())
    assert np.isfinite(scores).all()
    assert abs(sum(scores) - 1) < 1e-4
    shown = CliRunner().invoke(info, [str(folder)], standalone_mode=False)
    if shown.exception is not None:
        raise shown.exception
    return "result"


TARGET = Target(seeds, run, mutate, memory=4 << 30)

"""Folders of recordings: ``e2v batch`` against a plain loop, and after it was killed."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.runtime.hardware import usable_threads

from ...instruments.process import E2V, run
from ...reporting.table import Value

LOOP = """
import json, pathlib, sys
from emotion2vec_edge.engine import Recognizer
recognizer = Recognizer.load(sys.argv[3] or None)
out = pathlib.Path(sys.argv[2])
out.mkdir()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    report = recognizer.recognize(path).to_dict()
    (out / f"{path.name}.json").write_text(json.dumps(report, indent=2))
"""
"""Program that a user would write without ``e2v batch``."""

KILLED_CLIPS = 60
"""Clips of the killed batch for each kill."""


def batch(
    samples: Samples, folder: Path, model: str | None, files: int, rounds: int
) -> list[list[Value]]:
    """Files a second of a plain loop, and of ``e2v batch`` with one and more processes.

    Args:
        samples: speech that the clips are cut from.
        folder: scratch folder.
        model: path or name of a bundle; None takes the default.
        files: number of clips.
        rounds: runs of each, in turns.
    """
    clips = folder / "clips"
    clips.mkdir()
    rng = np.random.default_rng(0)
    for number in range(files):
        length = round(rng.uniform(2, 4) * SAMPLE_RATE)
        start = rng.integers(len(samples) - length)
        soundfile.write(clips / f"{number:04}.flac", samples[start : start + length], SAMPLE_RATE)
    option = ("--model", model) if model else ()
    jobs = sorted({2, usable_threads()})
    names = ["loop", *(f"batch --jobs {n}" for n in (1, *jobs))]
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names:
            out = str(folder / f"{name}{turn}".replace(" ", ""))
            if name == "loop":
                seconds, _ = run(sys.executable, "-c", LOOP, str(clips), out, model or "")
            else:
                seconds, _ = run(*E2V, *name.split(), str(clips), "-o", out, *option)
            taken[name].append(seconds)
    loop = statistics.median(taken["loop"])
    rows: list[list[Value]] = []
    for name, times in taken.items():
        median = statistics.median(times)
        case = f"{files} clips of 2 to 4 s, {name}, whole process"
        rows += [
            ["folder", case, files / median, "files/s"],
            ["folder", case, loop / median, "times the loop"],
        ]
    return rows


def kill(samples: Samples, folder: Path, model: str | None, rounds: int) -> list[list[Value]]:
    """Results that are lost, torn or changed if a batch is killed at random moments and resumed.

    Args:
        samples: speech that the clips are cut from.
        folder: scratch folder.
        model: path or name of a bundle; None takes the default.
        rounds: number of attempts to kill it.
    """
    clips, out, undisturbed = folder / "killed_clips", folder / "killed", folder / "undisturbed"
    clips.mkdir()
    for number in range(KILLED_CLIPS * rounds):
        piece = np.resize(samples, 10**7)[number * 4_000 :][:32_000]
        soundfile.write(clips / f"{number}.wav", piece, SAMPLE_RATE)
    option = ("--model", model) if model else ()
    # One processor each, because INT8 rounds differently when the work is shared out differently.
    command = (*E2V, "batch", str(clips), "--jobs", "2", "--threads", "2", *option, "-o")
    rng = random.Random(0)  # noqa: S311
    done = lost = torn = kills = 0
    for _ in range(rounds):
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            process.wait(rng.uniform(0.5, 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.wait()
        if not out.exists():
            continue
        torn += sum(not _whole(path) for path in out.rglob("*.json*") if ".work" not in path.parts)
        rows = (out / "results.jsonl").read_bytes().count(b"\n")
        lost += max(0, done - rows)
        done = max(done, rows)
    run(*command, str(out))
    run(*command, str(undisturbed))
    found, expected = _scores(out), _scores(undisturbed)
    different = sum(found.get(name) != scores for name, scores in expected.items())
    case = f"{kills} kills of a batch of {len(expected)}, resumed after each"
    return [
        ["kill -9", case, lost, "results lost"],
        ["kill -9", case, torn, "files half-written"],
        ["kill -9", case, different, "results unlike an undisturbed run's"],
    ]


def _whole(path: Path) -> bool:
    """True if a file of JSON or JSON lines is complete."""
    text = path.read_text(encoding="utf-8")
    try:
        for document in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(document)
    except ValueError:
        return False
    return not text or text.endswith("\n")


def _scores(out: Path) -> dict[str, dict[str, float]]:
    """File → scores, from the results of a batch."""
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["file"]: row["scores"] for row in map(json.loads, lines)}

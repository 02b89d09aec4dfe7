"""``e2v bench recordings``: long recordings, whole folders, live audio, and what a kill costs."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from emotion2vec_edge.engine import AudioError, Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.batch.discover import collect

from .document import Column, Document, Table, Value
from .machine import describe
from .models import model_line
from .process import E2V, run

PARTS = ("memory", "chunks", "batch", "stream", "kill")

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
"""What a user would write without ``e2v batch``."""


def joined_speech(speech: Path | None, seconds: float) -> Samples:
    """Recordings in a random but fixed order, joined, repeated where there are not enough."""
    paths = [str(path) for path in example_recordings()]
    if speech is not None:
        paths = [item.path for item in collect([str(speech)], sys.stdin)]
        random.Random(0).shuffle(paths)  # noqa: S311
    pieces, count = [], 0
    for path in paths:
        try:
            pieces.append(load_audio(path).samples)
        except AudioError:
            continue
        count += len(pieces[-1])
        if count >= seconds * SAMPLE_RATE:
            break
    return np.resize(np.concatenate(pieces), round(seconds * SAMPLE_RATE))


def memory(samples: Samples, folder: Path, model: tuple[str, ...]) -> list[list[Value]]:
    """Peak memory of the whole process for recordings of different lengths."""
    rows: list[list[Value]] = []
    peaks = {}
    for minutes in (2, 60):
        path = folder / f"{minutes}.flac"
        soundfile.write(path, np.resize(samples, minutes * 60 * SAMPLE_RATE), SAMPLE_RATE)
        seconds, peaks[minutes] = run(
            *E2V, "recognize", str(path), "--granularity", "frame", "--format", "json",
            "-o", str(folder / "out.json"), *model,
        )  # fmt: skip
        case = f"{minutes} min, whole process with its timeline"
        rows += [
            ["memory", case, peaks[minutes], "MiB peak"],
            ["memory", case, 60 * minutes / seconds, "x real time"],
        ]
    return [*rows, ["memory", "60 min against 2 min", peaks[60] / peaks[2], "times"]]


def chunks(samples: Samples, bundle: str | None) -> list[list[Value]]:
    """How far chunked results lie from one pass over the whole recording."""
    whole = Recognizer.load(bundle, chunk_seconds=1e4).encode(samples, SAMPLE_RATE)
    truth, line = whole.utterance(), whole.timeline(2.0, 0.5)
    rows: list[list[Value]] = []
    for seconds, context in ((30.0, 2.0), (30.0, 0.0), (30.0, 5.0), (10.0, 2.0)):
        recognizer = Recognizer.load(bundle, chunk_seconds=seconds, context_seconds=context)
        encoding = recognizer.encode(samples, SAMPLE_RATE)
        found = encoding.timeline(2.0, 0.5)
        difference = np.abs(found.scores - line.scores)
        same = (found.scores.argmax(axis=1) == line.scores.argmax(axis=1)).mean()
        scores = encoding.utterance().scores
        clip = max(abs(scores[label] - score) for label, score in truth.scores.items())
        case = f"{len(samples) / SAMPLE_RATE:.0f} s in {seconds:g} s with {context:g} s of context"
        rows += [
            ["chunks against one pass", case, 100 * float(same), "% of 2 s windows same label"],
            ["chunks against one pass", case, float(difference.mean()), "mean Δp of windows"],
            ["chunks against one pass", case, float(difference.max()), "max Δp of windows"],
            ["chunks against one pass", case, clip, "max Δp of the recording"],
        ]
    return rows


def batch(
    samples: Samples, folder: Path, bundle: str | None, files: int, rounds: int
) -> list[list[Value]]:
    """Files a second of a plain loop, and of ``e2v batch`` with one and more processes."""
    clips = folder / "clips"
    clips.mkdir()
    rng = np.random.default_rng(0)
    for number in range(files):
        length = round(rng.uniform(2, 4) * SAMPLE_RATE)
        start = rng.integers(len(samples) - length)
        soundfile.write(clips / f"{number:04}.flac", samples[start : start + length], SAMPLE_RATE)
    model = ("--model", bundle) if bundle else ()
    jobs = sorted({2, len(os.sched_getaffinity(0))})
    names = ["loop", *(f"batch --jobs {n}" for n in (1, *jobs))]
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names:
            out = str(folder / f"{name}{turn}".replace(" ", ""))
            if name == "loop":
                seconds, _ = run(sys.executable, "-c", LOOP, str(clips), out, bundle or "")
            else:
                seconds, _ = run(*E2V, *name.split(), str(clips), "-o", out, *model)
            taken[name].append(seconds)
    base = statistics.median(taken["loop"])
    rows: list[list[Value]] = []
    for name, times in taken.items():
        median = statistics.median(times)
        case = f"{files} clips of 2 to 4 s, {name}, whole process"
        rows += [
            ["folder", case, files / median, "files/s"],
            ["folder", case, base / median, "times the loop"],
        ]
    return rows


def stream(samples: Samples, bundle: str | None, seconds: float) -> list[list[Value]]:
    """Latency at the pace of time, and agreement with windows of the file."""
    recognizer = Recognizer.load(bundle)
    recognizer.recognize(samples[: 2 * SAMPLE_RATE], SAMPLE_RATE)
    live = recognizer.stream()
    started = time.perf_counter()
    latencies: list[float] = []
    step = SAMPLE_RATE // 50
    for first in range(0, round(seconds * SAMPLE_RATE), step):
        due = started + (first + step) / SAMPLE_RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        live.feed(samples[first : first + step], arrived=due)
        latencies.extend(1000 * window.latency for window in live.ripe())
    case = f"{len(latencies)} windows of 2 s every 0.5 s, at the pace of time"
    rows: list[list[Value]] = [
        ["stream", case, float(np.percentile(latencies, p)), f"ms latency p{p}"]
        for p in (50, 95, 99)
    ]
    fast = recognizer.stream()
    windows = fast.push(samples)
    alone = [
        list(recognizer.recognize(
            samples[round(w.start * SAMPLE_RATE) : round(w.end * SAMPLE_RATE)], SAMPLE_RATE
        ).scores.values())
        for w in windows
    ]  # fmt: skip
    found = np.array([list(w.scores.values()) for w in windows])
    line = recognizer.encode(samples, SAMPLE_RATE).timeline(2.0, 0.5).scores[: len(found)]
    for name, other in (("encoded alone", np.array(alone)), ("of the file's one pass", line)):
        same = (found.argmax(axis=1) == other.argmax(axis=1)).mean()
        difference = np.abs(found - other)
        case = f"{len(found)} windows against those {name}"
        rows += [
            ["stream", case, 100 * float(same), "% same label"],
            ["stream", case, float(difference.mean()), "mean Δp"],
            ["stream", case, float(difference.max()), "max Δp"],
        ]
    return rows


def kill(samples: Samples, folder: Path, model: tuple[str, ...], rounds: int) -> list[list[Value]]:
    """Kill a batch at random moments and go on: nothing may be lost, nothing half-written."""
    clips, out, calm = folder / "killed_clips", folder / "killed", folder / "calm"
    clips.mkdir()
    for number in range(60 * rounds):
        piece = np.resize(samples, 10**7)[number * 4_000 :][:32_000]
        soundfile.write(clips / f"{number}.wav", piece, SAMPLE_RATE)
    # One processor each: what INT8 rounds depends on how the work is shared out.
    command = (*E2V, "batch", str(clips), "--jobs", "2", "--threads", "2", *model, "-o")
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
    run(*command, str(calm))
    ours, theirs = _scores(out), _scores(calm)
    different = sum(ours.get(name) != scores for name, scores in theirs.items())
    case = f"{kills} kills of a batch of {len(theirs)}, each gone on from"
    return [
        ["kill -9", case, lost, "results lost"],
        ["kill -9", case, torn, "files half-written"],
        ["kill -9", case, different, "results unlike an undisturbed run's"],
    ]


def _whole(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    try:
        for document in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(document)
    except ValueError:
        return False
    return not text or text.endswith("\n")


def _scores(out: Path) -> dict[str, dict[str, float]]:
    lines = (out / "results.jsonl").read_text().splitlines()
    return {row["file"]: row["scores"] for row in map(json.loads, lines)}


@dataclass(frozen=True)
class RecordingsSettings:
    """What is measured, and how much of it."""

    parts: tuple[str, ...] = PARTS
    files: int = 500
    """Clips of the batch."""
    rounds: int = 3
    """Repetitions of the batch, in turns."""
    live_seconds: float = 60.0
    whole_seconds: float = 300.0
    """Length of the recording for chunks against one pass."""
    kill_rounds: int = 20


def measure(
    speech: Path | None, model: str | None, settings: RecordingsSettings,
    progress: Callable[[str], None],
) -> Document:  # fmt: skip
    """Measure on recordings of a folder; without one, on those that come with the package."""
    machine = describe()
    recognizer = Recognizer.load(model)
    seconds = max(settings.whole_seconds, settings.live_seconds, 60.0)
    samples = joined_speech(speech, seconds)
    option = ("--model", model) if model else ()
    table = Table(
        "Long recordings, folders and live audio",
        [Column("what"), Column("case"), Column("figure", ".4g"), Column("unit")],
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = samples[: round(settings.whole_seconds * SAMPLE_RATE)]
        parts: dict[str, Callable[[], list[list[Value]]]] = {
            "memory": lambda: memory(samples, folder, option),
            "chunks": lambda: chunks(whole, model),
            "batch": lambda: batch(samples, folder, model, settings.files, settings.rounds),
            "stream": lambda: stream(samples, model, settings.live_seconds),
            "kill": lambda: kill(samples, folder, option, settings.kill_rounds),
        }
        for part in settings.parts:
            progress(part)
            table.rows += parts[part]()
    used = {"speech": speech.name if speech else "examples", **asdict(settings)}
    return Document("recordings", used, [model_line(recognizer)], machine, [table])

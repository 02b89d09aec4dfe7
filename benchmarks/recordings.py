"""Long recordings, whole folders and live audio: memory, speed, latency, and what a kill costs.

::

    python -m emotion2vec_edge.benchmarks.recordings [SPEECH] [--model BUNDLE] [--part ...]

SPEECH is a folder of recordings; without it the ones that come with the package are used.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import soundfile

from emotion2vec_edge.engine import AudioError, Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.audio import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.inputs import collect

E2V = (sys.executable, "-m", "emotion2vec_edge.engine.cli")
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


def run(*command: str) -> tuple[float, float]:
    """Wall seconds and peak memory in MiB of a process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    started = time.perf_counter()
    peak = 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    # Not the resource usage of a child: that begins with the memory of the one that started it.
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration, ProcessLookupError):
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
            peak = next(int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM"))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - started, peak


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


def memory(samples: Samples, folder: Path, model: tuple[str, ...]) -> None:
    """Peak memory of the whole process for recordings of different lengths."""
    peaks = {}
    for minutes in (2, 60):
        path = folder / f"{minutes}.flac"
        soundfile.write(path, np.resize(samples, minutes * 60 * SAMPLE_RATE), SAMPLE_RATE)
        seconds, peaks[minutes] = run(
            *E2V, "recognize", str(path), "--granularity", "frame", "--format", "json",
            "-o", str(folder / "out.json"), *model,
        )  # fmt: skip
        click.echo(
            f"memory   {minutes:>3} min of audio: peak {peaks[minutes]:.0f} MiB, {seconds:.1f} s, "
            f"{60 * minutes / seconds:.0f} x real time"
        )
    click.echo(f"memory   60 min take {peaks[60] / peaks[2]:.2f} x the memory of 2 min")


def chunks(samples: Samples, bundle: str | None) -> None:
    """How far chunked results lie from one pass over the whole recording."""
    whole = Recognizer.load(bundle, chunk_seconds=1e4).encode(samples, SAMPLE_RATE)
    truth, line = whole.utterance(), whole.timeline(2.0, 0.5)
    for seconds, context in ((30.0, 2.0), (30.0, 0.0), (30.0, 5.0), (10.0, 2.0)):
        recognizer = Recognizer.load(bundle, chunk_seconds=seconds, context_seconds=context)
        encoding = recognizer.encode(samples, SAMPLE_RATE)
        found = encoding.timeline(2.0, 0.5)
        difference = np.abs(found.scores - line.scores)
        same = (found.scores.argmax(axis=1) == line.scores.argmax(axis=1)).mean()
        scores = encoding.utterance().scores
        clip = max(abs(scores[label] - score) for label, score in truth.scores.items())
        click.echo(
            f"chunks   {len(samples) / SAMPLE_RATE:.0f} s, chunks of {seconds:g} s with "
            f"{context:g} s of context: windows of 2 s same label {same:.1%}, |dp| mean "
            f"{difference.mean():.4f}, max {difference.max():.3f}; recording |dp| max {clip:.4f}"
        )


def batch(samples: Samples, folder: Path, bundle: str | None, files: int, rounds: int) -> None:
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
    for name, runs in taken.items():
        median = statistics.median(runs)
        click.echo(
            f"batch    {files} clips of 2 to 4 s, {name:<15} {files / median:6.1f} files/s "
            f"[{files / max(runs):.1f}, {files / min(runs):.1f}], {base / median:.2f} x the loop"
        )


def stream(samples: Samples, bundle: str | None, seconds: float) -> None:
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
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99])
    click.echo(
        f"stream   {seconds:g} s at the pace of time, {len(latencies)} windows of 2 s every 0.5 s: "
        f"latency p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms"
    )
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
        click.echo(
            f"stream   {len(found)} windows against those {name}: same label {same:.1%}, |dp| mean "
            f"{difference.mean():.4f}, max {difference.max():.2g}"
        )


def kill(samples: Samples, folder: Path, model: tuple[str, ...], rounds: int) -> None:
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
    same = _scores(out) == _scores(calm)
    click.echo(
        f"kill     {kills} kills in {rounds} rounds: {lost} results lost, {torn} files torn; "
        f"{len(_scores(out))} results {'equal to' if same else 'DIFFER from'} an undisturbed run's"
    )


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


@click.command()
@click.argument("speech", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--model", help="Path or name of a bundle; the default otherwise.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=PARTS)
@click.option("--files", default=500, show_default=True, help="Clips of the batch.")
@click.option("--rounds", default=3, show_default=True, help="Repetitions of the batch, in turns.")
@click.option("--live-seconds", default=60.0, show_default=True, help="Length of the live stream.")
@click.option("--whole-seconds", default=300.0, show_default=True, help="For chunks against whole.")
@click.option("--kill-rounds", default=20, show_default=True)
def main(
    speech: Path | None, model: str | None, parts: tuple[str, ...], files: int, rounds: int,
    live_seconds: float, whole_seconds: float, kill_rounds: int,
) -> None:  # fmt: skip
    """Measure long recordings, batches and streams on SPEECH."""
    click.echo(repr(Recognizer.load(model)))
    samples = joined_speech(speech, max(whole_seconds, live_seconds, 60.0))
    option = ("--model", model) if model else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "memory" in parts:
            memory(samples, folder, option)
        if "chunks" in parts:
            chunks(samples[: round(whole_seconds * SAMPLE_RATE)], model)
        if "batch" in parts:
            batch(samples, folder, model, files, rounds)
        if "stream" in parts:
            stream(samples, model, live_seconds)
        if "kill" in parts:
            kill(samples, folder, option, kill_rounds)


if __name__ == "__main__":
    main()

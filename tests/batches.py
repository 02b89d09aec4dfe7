"""Batches in tests: their recordings, their runs, and what they leave."""

import json
import os
import subprocess
import sys

import numpy as np
import soundfile

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.batch.output.prefix import open_output
from emotion2vec_edge.engine.batch.run import BatchRun
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli", "batch"]


def before_path(folder):
    """PYTHONPATH with a folder in front."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def e2v(*args, **env):
    return subprocess.run(
        [*E2V, *map(str, args)], capture_output=True, text=True, check=False,
        env={**os.environ, **env},
    )  # fmt: skip


def make_calls(folder):
    """Eight short recordings in a folder, and a file that is none."""
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    for number in range(8):
        path = folder / f"day{number % 2}" / f"{number // 2}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech[number * 30_000 :][:24_000], 16_000)
    (folder / "letter.wav").write_text("not a recording")
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers(folder):
    """Everything that an undisturbed and a disturbed run should agree on."""
    kept = {}
    for row in rows(folder / "results.jsonl"):
        result = json.loads((folder / row["result"]).read_text())
        kept[row["file"]] = (row["scores"], row["source"], result["scores"], result.get("frames"))
    failures = {row["file"]: row["message"] for row in rows(folder / "failures.jsonl")}
    return kept, failures


def one_run(recognizer, out, inputs, settings=None, run="r", parquet=None):
    """A run in this process; its progress."""
    items = collect([os.fspath(path) for path in inputs], sys.stdin)
    with open_output(os.fspath(out)) as folder:
        batch_run = BatchRun(folder, items, run, parquet=parquet)
        list(batch_run.outcomes(Worker(recognizer, folder.path, settings or BatchSettings(), run)))
    return batch_run.progress


def everything_is_whole(out, *, torn_logs=False):
    """No file of the folder is half-written, but for what lies in .work.

    A run that was killed may leave the beginning of a line at the end of a log.
    """
    for path in out.rglob("*"):
        if ".work" in path.parts or path.is_dir():
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".jsonl":
            lines = path.read_bytes().splitlines(keepends=True)
            assert torn_logs or not lines or lines[-1].endswith(b"\n")
            for line in lines[:-1] if torn_logs else lines:
                json.loads(line)
        elif path.suffix == ".parquet":
            assert path.read_bytes().endswith(b"PAR1")
        elif path.suffix == ".npy":
            np.load(path)
        elif path.suffix == ".srt":
            assert path.read_bytes().startswith(b"1\n00:00:")
            assert path.read_bytes().endswith(b"\n")
        else:
            assert path.suffix in (".csv", ".foreign")

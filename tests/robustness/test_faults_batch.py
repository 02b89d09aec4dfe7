"""A batch whose output folder fails at each of its operations: nothing is lost, nothing is double."""

import contextlib
import json
import random
import resource
import shutil
import signal
import subprocess
import sys

import pytest
from batches import E2V, answers, everything_is_whole, make_calls, rows
from faults import Faults, Killed, count

from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.batch.output.folder import OutputFolder
from emotion2vec_edge.engine.batch.rows import FailureRow
from emotion2vec_edge.engine.batch.run import BatchRun
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import AudioError, OutputError


class Replay:
    """A recognizer that gives results that were made before, at once."""

    def __init__(self, recognizer, paths):
        self.labels = recognizer.labels
        results = recognizer.encode_many(paths, errors="return")
        self.results = dict(zip(paths, results, strict=True))

    def encode_many(self, sources, **_):
        for source in sources:
            yield self.results[source]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Three recordings and a file that is none."""
    folder = make_calls(tmp_path_factory.mktemp("in") / "calls")
    shutil.rmtree(folder / "day1")
    (folder / "day0" / "3.wav").unlink()
    return folder


@pytest.fixture(scope="module")
def items(calls):
    return collect([str(calls)], sys.stdin)


@pytest.fixture(scope="module")
def replay(recognizer, items):
    made = Replay(recognizer, [item.path for item in items])
    assert sum(isinstance(result, AudioError) for result in made.results.values()) == 1
    return made


SETTINGS = BatchSettings(embeddings=True, formats=("srt",))


def run(replay, out, items, told=None):
    """A run; ``told`` gets the file of each recording that is reported as done."""
    with OutputFolder(out) as folder:
        batch_run = BatchRun(folder, items, "r")
        with contextlib.closing(batch_run.outcomes(Worker(replay, out, SETTINGS, "r"))) as outcomes:
            for outcome in outcomes:
                if told is not None and not isinstance(outcome.row, FailureRow):
                    told.append(outcome.item.file)
    return batch_run.progress


@pytest.fixture(scope="module")
def calm(replay, items, tmp_path_factory):
    """What an undisturbed run leaves, and the operations that it makes."""
    out = tmp_path_factory.mktemp("calm") / "out"
    operations = count(out, lambda: run(replay, out, items))
    return out, operations


def files(out):
    return sorted(str(path.relative_to(out)) for path in out.rglob("*"))


def check_next_run(replay, out, items, calm, told):
    """Nothing that was told as done is lost, and the next run completes the folder."""
    assert out.parent.is_dir()
    if out.is_dir():
        everything_is_whole(out, torn_logs=True)
    progress = run(replay, out, items)
    assert progress.failed == 1
    assert progress.skipped >= len(told)
    assert progress.skipped + progress.done == 3
    everything_is_whole(out)
    assert answers(out) == answers(calm)
    assert [row["file"] for row in rows(out / "results.jsonl")] == sorted(
        item.file for item in items if item.file.endswith("wav") and "letter" not in item.file
    )
    assert files(out) == files(calm)
    assert (out / "results.csv").read_bytes() == (calm / "results.csv").read_bytes()
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["state"], summary["recognized"], summary["failures"]) == ("finished", 3, 1)


def test_the_operations_of_a_run(calm):
    """That the faults come where they should."""
    _, operations = calm
    kinds = {operation.split()[0] for operation in operations}
    assert kinds >= {"mkdir", "open", "write", "replace", "unlink", "ftruncate", "rmdir"}
    renamed = {operation.split()[1] for operation in operations if operation.startswith("replace")}
    assert renamed >= {
        "results.jsonl", "failures.jsonl", "results.csv", "summary.json",
        "results/calls/day0/0.wav.json", "results/calls/day0/0.wav.srt",
        "embeddings/calls/day0/0.wav.npy",
    }  # fmt: skip
    assert sum(operation == "write results.jsonl" for operation in operations) == 3


@pytest.mark.parametrize("again", [False, True], ids=["first run", "second run"])
def test_killed_at_any_operation(replay, items, calm, tmp_path, again):
    """Before each of them, and in the middle of each write."""
    for at in range(len(calm[1])):
        out = tmp_path / str(at) / "out"
        out.parent.mkdir()
        told = []
        if again:
            run(replay, out, items[:2])
        faults = Faults(out, "kill", at)
        with faults, contextlib.suppress(Killed):
            run(replay, out, items, told)
        if again and not faults.happened:  # there is less to do
            assert at > 40
            break
        assert faults.happened
        check_next_run(replay, out, items, calm[0], told)


@pytest.mark.parametrize(
    ("fault", "lasting"),
    [
        ("EIO", False), ("ENOSPC", False), ("EACCES", False), ("short", False),
        ("EIO", True), ("ENOSPC", True), ("EACCES", True),
    ],
)  # fmt: skip
def test_an_error_at_any_operation(replay, items, calm, tmp_path, fault, lasting):
    for at in range(len(calm[1])):
        out = tmp_path / str(at) / "out"
        out.parent.mkdir()
        told = []
        with Faults(out, fault, at, lasting=lasting) as faults:
            try:
                run(replay, out, items, told)
                ended = True
            except OutputError as error:
                ended = False
                assert str(tmp_path) in str(error)
        assert faults.happened
        if fault == "short":
            assert ended, faults.operations[at]
        check_next_run(replay, out, items, calm[0], told)


def test_a_disk_that_fills_up_takes_the_summary(replay, items, calm, tmp_path):
    """Its bytes were set aside, so the errors end when they are given back."""
    first = next(i for i, text in enumerate(calm[1]) if text == "write results.jsonl")
    freed = calm[1].index("unlink .work/reserve")
    for at in range(first, freed):
        out = tmp_path / str(at) / "out"
        out.parent.mkdir()
        faults = Faults(out, "ENOSPC", at, lasting=True)
        real = faults._next

        def until_there_is_room(operation, path, *, room, faults=faults, real=real):
            if operation == "unlink" and path.endswith("reserve"):
                faults.lasting = False
            return real(operation, path, room=room)

        faults._next = until_there_is_room
        with faults, pytest.raises(OutputError, match="No space left"):
            run(replay, out, items)
        summary = json.loads((out / "summary.json").read_text())
        assert summary["state"] == "stopped"
        assert summary["recognized"] == len(rows(out / "results.jsonl"))


def test_a_limit_of_the_system(calls, tmp_path):
    """Files may not grow over 300 kB, and the log has almost as much."""
    out = tmp_path / "out"
    command = [*E2V, str(calls), "-o", str(out)]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300 << 10, 300 << 10))

    (tmp_path / "out").mkdir()
    filler = b"notes\n" * ((299 << 10) // 6)
    (out / "results.jsonl").write_bytes(filler)
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "results.jsonl: cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (out / "results.jsonl.foreign").read_bytes() == filler
    assert len(rows(out / "results.jsonl")) == 1
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "3 recognized, 1 failed" in again.stdout
    assert (out / "results.jsonl.foreign").read_bytes() == filler


def test_signals_that_interrupt_every_call(recognizer, items, tmp_path):
    """The system returns from each call early (EINTR), and Python repeats it."""
    arrived = []
    before = signal.signal(signal.SIGALRM, lambda *_: arrived.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        with OutputFolder(tmp_path / "out") as folder:
            batch_run = BatchRun(folder, items, "r")
            worker = Worker(recognizer, folder.path, SETTINGS, "r")
            assert len(list(batch_run.outcomes(worker))) == 4
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(arrived) > 10
    everything_is_whole(tmp_path / "out")
    assert len(rows(tmp_path / "out" / "results.jsonl")) == 3


def test_interrupted_at_any_operation(replay, items, calm, tmp_path):
    """Ctrl-C raises KeyboardInterrupt anywhere in the main thread."""
    for at in range(len(calm[1])):
        out = tmp_path / str(at) / "out"
        out.parent.mkdir()
        told = []
        faults = Faults(out, "EIO", at)
        faults._fail = lambda *_: signal.raise_signal(signal.SIGINT)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with faults, contextlib.suppress(KeyboardInterrupt):
                run(replay, out, items, told)
        finally:
            signal.signal(signal.SIGINT, before)
        assert faults.happened
        check_next_run(replay, out, items, calm[0], told)


# Logs that somebody else has written to.


def mutated(rng, known):
    """Lines of a log, with damaged ones among them."""
    lines = list(known)
    for _ in range(rng.randint(1, 4)):
        number = rng.randrange(len(lines) + 1)
        line = rng.choice(known)
        way = rng.randrange(7)
        if way == 0:
            lines.insert(number, line)
        elif way == 1:
            lines.insert(number, line[: rng.randrange(len(line))] + b"\n")
        elif way == 2:
            flipped = bytearray(line)
            flipped[rng.randrange(len(flipped) - 1)] ^= 1 << rng.randrange(8)
            lines.insert(number, bytes(flipped))
        elif way == 3:
            document = json.loads(line)
            name = rng.choice(sorted(document))
            odd = [
                None,
                5,
                -1e300,
                1e400,
                "",
                "\ud800",
                [],
                {},
                [[[]]],
                True,
                "x" * 10_000,
                {"a": 1},
            ]
            document[name] = rng.choice(odd)
            lines.insert(number, json.dumps(document).encode() + b"\n")
        elif way == 4:
            document = json.loads(line)
            del document[rng.choice(sorted(document))]
            lines.insert(number, json.dumps(document).encode() + b"\n")
        elif way == 5:
            lines.insert(number, rng.randbytes(rng.randrange(200)).replace(b"\n", b"") + b"\n")
        else:
            lines.insert(number, rng.choice([b"[" * 9_999, b"9" * 9_999, b"{}", b""]) + b"\n")
    return lines


def test_results_with_damaged_lines(replay, items, calm, tmp_path):
    """Each run ends well, with all results, and no line of a batch or of anybody else is lost."""
    rng = random.Random(20261124)  # noqa: S311
    known = (calm[0] / "results.jsonl").read_bytes().splitlines(keepends=True)
    for number in range(100):
        out = tmp_path / str(number)
        shutil.copytree(calm[0], out)
        lines = mutated(rng, known)
        (out / "results.jsonl").write_bytes(b"".join(lines))
        progress = run(replay, out, items)
        assert progress.done + progress.skipped == 3
        everything_is_whole(out)
        found = rows(out / "results.jsonl")
        # A row in which a digit was changed is believed.
        assert answers(out)[0].keys() >= answers(calm[0])[0].keys()
        kept = {row["file"] for row in found}
        aside = out / "results.jsonl.foreign"
        foreign = aside.read_bytes().split(b"\n") if aside.exists() else []
        for line in {line.rstrip(b"\n") for line in set(lines) - set(known)} - set(foreign):
            assert json.loads(line)["file"] in kept  # a row, which a later one may have replaced
        shutil.rmtree(out)

"""Runs many cases of a target in processes with limits, and keeps those that end badly.

A finding is an exception that is none of ours, a crash, a case that takes too long, or more memory
than the limit. As a script, this is one of those processes.
"""

import contextlib
import itertools
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from target import HERE, case, load

START_SECONDS = 120.0
"""Time for a process to make its seeds."""


@dataclass
class Tally:
    """The outcomes of all cases."""

    outcomes: dict[str, Counter] = field(default_factory=dict)
    """By the name of the seed: the number of cases of each outcome."""
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_mb: int = 0
    """Largest resident memory of a process in MB, those that a case started included."""

    @property
    def cases(self):
        return sum(sum(counter.values()) for counter in self.outcomes.values())

    def summary(self):
        rate = 60 * self.cases / max(self.seconds, 1e-9)
        return (
            f"{self.cases} cases in {self.seconds:.0f} s ({rate:.0f} a minute), at most "
            f"{self.peak_mb} MB, {len(self.findings)} findings"
        )

    def text(self):
        total = sum(self.outcomes.values(), Counter())
        lines = [f"{count:7d} {outcome}" for outcome, count in total.most_common()]
        return "\n".join([self.summary(), *lines, *self.findings])


class Campaign:
    """Cases of one target.

    Args:
        name: of the target.
        seed: the same one gives the same cases.
        cases: their number; None if the time decides.
        seconds: time after which no more begins; None if the number decides.
        jobs: processes.
        keep: folder for the contents of findings.
    """

    def __init__(self, name, *, seed=0, cases=None, seconds=None, jobs=2, keep=None):
        self.name = name
        self.seed = seed
        self.seconds = seconds
        self.jobs = jobs
        self.keep = keep
        self.target = load(name)
        self.tally = Tally()
        self._numbers = iter(range(cases)) if cases is not None else itertools.count()
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def run(self, tell=None):
        """Run all; ``tell`` is called with the tally every ten seconds."""
        with ThreadPoolExecutor(self.jobs) as pool:
            workers = [pool.submit(self._work) for _ in range(self.jobs)]
            while wait(workers, 10).not_done:
                if tell is not None:
                    tell(self.tally)
            for worker in workers:
                worker.result()
        return self.tally

    def _next(self):
        with self._lock:
            late = self.seconds is not None and time.monotonic() - self._began > self.seconds
            return None if late else next(self._numbers, None)

    def _work(self):
        process = CaseProcess(self.name, self.seed)
        try:
            while (index := self._next()) is not None:
                found = process.run(index, self.target.seconds)
                self._count(index, found)
                if found.get("ended"):
                    process.close()
                    process = CaseProcess(self.name, self.seed)
        finally:
            process.close()

    def _count(self, index, found):
        with self._lock:
            self.tally.seconds = time.monotonic() - self._began
            self.tally.peak_mb = max(self.tally.peak_mb, found.get("peak_mb", 0))
            content = None
            if "finding" in found:
                found["outcome"] = "finding"
                found["seed"], content = case(self.target, self.target.seeds(), self.seed, index)
                self.tally.findings.append(
                    f"case {index} of seed {self.seed} ({found['seed']}): {found['finding']}"
                )
            self.tally.outcomes.setdefault(found["seed"], Counter())[found["outcome"]] += 1
        if content is not None and self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{self.name}-{self.seed}-{index}").write_bytes(content)


class CaseProcess:
    """A process that runs cases one after the other."""

    def __init__(self, name, seed):
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with this object
        self._process = subprocess.Popen(
            [sys.executable, __file__, name, str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        )  # fmt: skip
        if self._answer(START_SECONDS) != {}:
            ending = self._ending()
            self.close()
            raise RuntimeError(f"a process of the fuzz does not start: {ending}")

    def run(self, index, seconds):
        """Run a case: its outcome, or a finding; ``ended`` tells that the process is gone."""
        print(index, file=self._process.stdin, flush=True)
        found = self._answer(seconds)
        if found is not None:
            return found
        return {"ended": True, "finding": self._ending()}

    def _answer(self, seconds):
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else ""
        return json.loads(line) if line else None

    def _ending(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        code = self._process.poll()
        self._errors.seek(0)
        ended = "it took too long" if code is None else f"the process ended with code {code}"
        return f"{ended}\n{self._errors.read()}".strip()

    def close(self):
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def own_peak_kb():
    """Largest resident memory since this program began.

    ``ru_maxrss`` would begin with that of the process that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0])


def serve(name, seed):
    """Run the cases whose numbers come on stdin; a line of JSON for each."""
    target = load(name)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # stdout is for the answers alone
    seeds = target.seeds()
    resource.setrlimit(resource.RLIMIT_AS, (target.memory, target.memory))
    print("{}", file=out, flush=True)
    for line in sys.stdin:
        seed_name, content = case(target, seeds, seed, int(line))
        found = {"seed": seed_name}
        with tempfile.TemporaryDirectory() as folder:
            try:
                found["outcome"] = target.run(content, Path(folder))
            except BaseException:  # noqa: BLE001 - that is what is looked for
                found["finding"] = traceback.format_exc()
        started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        found["peak_mb"] = max(own_peak_kb(), started) >> 10
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    sys.path.insert(1, str(HERE.parent))  # the targets import what tests share
    serve(sys.argv[1], int(sys.argv[2]))

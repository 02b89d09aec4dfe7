"""An engine in a process of its own, such as one of an environment with another ONNX Runtime.

Two builds of ONNX Runtime cannot share a process. Both ends are here: samples pass in a file, and
lines of JSON through the pipes.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.batch.processes import answers_on_stdout, check_answer, fatal_answer
from emotion2vec_edge.engine.cli.options import model_options
from emotion2vec_edge.engine.errors import E2VError, OptionError
from emotion2vec_edge.engine.files import reported
from emotion2vec_edge.engine.recognizer import Recognizer
from emotion2vec_edge.engine.runtime.session import import_onnxruntime
from emotion2vec_edge.engine.settings import ModelSettings

from .process import E2V

_MODULE = "emotion2vec_edge.benchmarks.instruments.beside"


@dataclass(frozen=True)
class Facts:
    """Facts of an engine that has recognized its first clip."""

    load: float
    """Seconds until it was loaded."""
    first_call: float
    """Seconds of the first clip."""
    runtime: str
    """Build of ONNX Runtime, provider and precision, as text."""
    on_disk: int
    """Bytes of the variant."""

    @classmethod
    def of(cls, load: Callable[[], Recognizer], clip: Samples) -> tuple[Recognizer, Facts]:
        """Load an engine and let it recognize a clip; the engine, and its facts."""
        started = time.perf_counter()
        engine = load()
        loaded = time.perf_counter()
        engine.recognize(clip, SAMPLE_RATE)
        called = time.perf_counter()
        version = import_onnxruntime().__version__
        return engine, cls(
            loaded - started,
            called - loaded,
            f"ONNX Runtime {version}, {engine.provider}, {engine.precision}",
            engine.bundle.variant(engine.precision).bytes,
        )


@dataclass(frozen=True)
class TimedEngine:
    """An engine to time, in this process or in another one."""

    run: Callable[[Samples], NDArray[np.float32]]
    """float32 [samples] at 16 kHz → probabilities [labels]."""
    facts: Facts
    command: tuple[str, ...]
    """First arguments of ``e2v`` in its environment."""
    options: tuple[str, ...]
    """Options of ``e2v recognize`` that choose it."""


def scores_of(engine: Recognizer, samples: Samples) -> NDArray[np.float32]:
    """Probabilities, float32 [labels]."""
    return np.fromiter(engine.recognize(samples, SAMPLE_RATE).scores.values(), np.float32)


@dataclass(frozen=True)
class OtherProcess:
    """This end of the pipes to another process."""

    interpreter: str
    popen: subprocess.Popen[bytes]
    file: Path
    """The file that samples are passed in."""

    def ask(self, samples: Samples) -> Mapping[str, Any]:
        """The answer to samples: the facts of the engine for the first, scores for all later ones.

        Raises:
            OptionError: the process has ended.
            OutputError: the disk is full.
            E2VError: the engine's own error.
        """
        requests, answers = self.popen.stdin, self.popen.stdout
        if requests is None or answers is None:
            raise TypeError("a process without pipes")
        with reported(self.file):
            self.file.write_bytes(samples.astype(np.float32).tobytes())
        with contextlib.suppress(BrokenPipeError):  # its end is told below
            requests.write(b"%d\n" % len(samples))
            requests.flush()
        line = answers.readline()
        if not line:
            raise OptionError(
                f"the engine of {self.interpreter} ended with exit code {self.popen.wait()}; "
                "that environment needs this version of emotion2vec-edge"
            )
        answer: Mapping[str, Any] = json.loads(line)
        check_answer(answer)
        return answer

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """float32 [samples] at 16 kHz → probabilities [labels]."""
        return np.array(self.ask(samples)["scores"], np.float32)


@contextlib.contextmanager
def other_process(command: str, defaults: Sequence[str], clip: Samples) -> Iterator[TimedEngine]:
    """An engine that has recognized one clip in another process, until the context ends.

    Args:
        command: an interpreter, and options of ``e2v recognize`` that choose a model: ``python``,
            or ``/opt/openvino/bin/python --provider openvino``.
        defaults: options that those of the command come after, and replace.
        clip: samples of the first call.

    Raises:
        OptionError: there is no such interpreter, or it does not have this package.
        OutputError: the disk is full.
        E2VError: the engine cannot run there, with its own error.
    """
    try:
        interpreter, *chosen = shlex.split(command) or [""]
    except ValueError as error:
        raise OptionError(f"--beside: {command!r} is not 'PYTHON OPTIONS' ({error})") from None
    options = (*defaults, *chosen)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "samples"
        worker = [interpreter, "-m", _MODULE, str(file), *options]
        try:
            process = subprocess.Popen(  # noqa: S603 - the user names the interpreter
                worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is this process's to handle
            )  # fmt: skip
        except OSError as error:
            raise OptionError(
                f"{interpreter!r} cannot be run ({error.strerror}): --beside takes a name and "
                "'PYTHON OPTIONS', PYTHON being the interpreter of an environment that has "
                "emotion2vec-edge"
            ) from None
        with process:
            try:
                other = OtherProcess(interpreter, process, file)
                facts = Facts(**other.ask(clip))
                yield TimedEngine(other.scores, facts, (interpreter, *E2V[1:]), options)
            finally:
                process.kill()
                with contextlib.suppress(BrokenPipeError):  # what it did not read
                    process.stdin.close()  # type: ignore[union-attr]


@click.command()
@click.argument("path", type=Path)
@model_options
def main(path: Path, model_settings: ModelSettings) -> None:
    """The other process: recognize what lies in the file, once for each line on stdin."""
    answer = answers_on_stdout()

    def samples(line: str) -> Samples:
        return np.fromfile(path, np.float32, int(line))

    with open(0, encoding="utf-8", closefd=False) as lines:
        try:
            clip = samples(lines.readline())
            engine, facts = Facts.of(lambda: Recognizer.load(**asdict(model_settings)), clip)
            answer(asdict(facts))
            for line in lines:
                answer({"scores": scores_of(engine, samples(line)).tolist()})
        except E2VError as error:
            answer(fatal_answer(error))


if __name__ == "__main__":
    main()

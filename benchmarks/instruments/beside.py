"""An engine in a process of its own, such as one of an environment with another ONNX Runtime.

Two builds of ONNX Runtime cannot share a process. Both ends are here: samples pass in a file, and
lines of JSON through the pipes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import errors
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.cli.options import model_options
from emotion2vec_edge.engine.errors import E2VError, OptionError, OutputError
from emotion2vec_edge.engine.recognizer import Recognizer
from emotion2vec_edge.engine.settings import ModelSettings

from .process import E2V

_MODULE = "emotion2vec_edge.benchmarks.instruments.beside"


@dataclass(frozen=True)
class Start:
    """Seconds of an engine's start within its process."""

    load: float
    first_call: float

    @classmethod
    def of(cls, load: Callable[[], Recognizer], clip: Samples) -> tuple[Recognizer, Start]:
        """Load an engine that recognizes one clip; it, and how long that took."""
        started = time.perf_counter()
        engine = load()
        loaded = time.perf_counter()
        engine.recognize(clip, SAMPLE_RATE)
        return engine, cls(loaded - started, time.perf_counter() - loaded)


def scores_of(engine: Recognizer, samples: Samples) -> NDArray[np.float32]:
    """Probabilities, float32 [labels]."""
    return np.fromiter(engine.recognize(samples, SAMPLE_RATE).scores.values(), np.float32)


@dataclass
class OtherProcess:
    """An engine in another process, called as a :data:`~..baselines.settings.Run`."""

    process: subprocess.Popen[bytes]
    file: Path
    """The file that samples are passed in."""
    command: tuple[str, ...]
    """First arguments of ``e2v`` in its environment."""
    options: tuple[str, ...]
    """Options of ``e2v recognize`` that choose the model."""
    start: Start = field(init=False)
    runtime: str = field(init=False)
    """Build of ONNX Runtime, provider and precision, as text."""
    on_disk: int = field(init=False)
    """Bytes of the variant."""

    def load(self, clip: Samples) -> None:
        """Load the model and recognize one clip; raises as the engine does there."""
        facts = self._ask(clip)
        self.start = Start(facts["load"], facts["first_call"])
        self.runtime, self.on_disk = facts["runtime"], facts["on_disk"]

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """float32 [samples] at 16 kHz → probabilities [labels]."""
        return np.array(self._ask(samples)["scores"], np.float32)

    def _ask(self, samples: Samples) -> Mapping[str, Any]:
        requests, answers = self.process.stdin, self.process.stdout
        if requests is None or answers is None:
            raise TypeError("a process without pipes")
        try:
            self.file.write_bytes(samples.astype(np.float32).tobytes())
        except OSError as error:
            raise OutputError(f"samples cannot be passed on in a file: {error}") from error
        with contextlib.suppress(BrokenPipeError):  # its end is told below
            requests.write(b"%d\n" % len(samples))
            requests.flush()
        line = answers.readline()
        if not line:
            raise OptionError(
                f"the engine of {self.command[0]} ended with exit code {self.process.wait()}; that "
                "environment needs this version of emotion2vec-edge"
            )
        answer: Mapping[str, Any] = json.loads(line)
        if "error" in answer:
            raise getattr(errors, answer["error"], E2VError)(answer["message"])
        return answer


@contextlib.contextmanager
def other_process(command: str, defaults: Sequence[str], clip: Samples) -> Iterator[OtherProcess]:
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
                other = OtherProcess(process, file, (interpreter, *E2V[1:]), options)
                other.load(clip)
                yield other
            finally:
                process.kill()
                with contextlib.suppress(BrokenPipeError):  # what it did not read
                    process.stdin.close()  # type: ignore[union-attr]


@click.command()
@click.argument("path", type=Path)
@model_options
def main(path: Path, model_settings: ModelSettings) -> None:
    """The other process: recognize what lies in the file, once for each line on stdin."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not come between the lines

    def samples(line: str) -> Samples:
        return np.fromfile(path, np.float32, int(line))

    def answer(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    with open(0, encoding="utf-8", closefd=False) as lines:
        try:
            clip = samples(lines.readline())
            engine, start = Start.of(lambda: Recognizer.load(**asdict(model_settings)), clip)
            answer(_facts(engine, start))
            for line in lines:
                scores = scores_of(engine, samples(line))
                answer({"scores": scores.tolist()})
        except E2VError as error:
            answer({"error": type(error).__name__, "message": str(error)})


def _facts(engine: Recognizer, start: Start) -> dict[str, Any]:
    from emotion2vec_edge.engine.runtime.session import import_onnxruntime

    version = import_onnxruntime().__version__
    return {
        **asdict(start),
        "runtime": f"ONNX Runtime {version}, {engine.provider}, {engine.precision}",
        "on_disk": engine.bundle.variant(engine.precision).bytes,
    }


if __name__ == "__main__":
    main()

"""The standard set of measurements, and the page that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.progress import Progress

from ..choices import BaselineName
from ..reporting.document import Document, read_document
from ..reporting.page import write_page
from . import accuracy, latency, roofline, windows

WINDOW_CLIPS, WINDOW_SECONDS = 10, 10.0
"""Clips of the timelines, and the length of each."""
VARIED = ((1.5, 6.0), (8.0, 30.0))
"""Shortest and longest of the clips of varied length."""


@dataclass(frozen=True)
class StandardSettings:
    """Models and speech of the standard set."""

    speech: tuple[Path, ...] = ()
    """Labelled corpora; empty leaves the accuracy out."""
    checkpoint: Path | None = None
    """FunASR folder of the default model, for the baselines."""
    large: Path | None = None
    """A second bundle to time."""
    large_checkpoint: Path | None = None
    """FunASR folder of the second bundle, for the baselines."""
    baselines: tuple[BaselineName, ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    """Engines in processes of their own, as :attr:`~.latency.LatencySettings.beside`."""
    rounds: int = 7
    """Runs of each runner that count."""
    most: int | None = None
    """Largest number of clips of each corpus; None takes all."""

    def command(self) -> str:
        """The command that measures with these settings, without the user's paths."""
        options = {
            "--speech MANIFEST": self.speech,
            "--checkpoint FOLDER": self.checkpoint,
            "--large BUNDLE": self.large,
            "--large-checkpoint FOLDER": self.large_checkpoint,
            " ".join(f"-p {name}" for name in self.baselines): self.baselines,
            " ".join(f"--beside {name!r} 'PYTHON OPTIONS'" for name, _ in self.beside): self.beside,
            f"--most {self.most}": self.most,
            f"--rounds {self.rounds} -o FOLDER": True,
        }
        return " ".join(["e2v bench report", *(text for text, given in options.items() if given)])


@dataclass(frozen=True)
class _Measurement:
    """One part of the set."""

    heading: str
    name: str
    """Name of its files."""
    make: Callable[[], Document]
    draw: Callable[[Document], bytes] | None = None


def measure(
    settings: StandardSettings,
    output: Path,
    progress: Progress,
) -> None:
    """Run the set and write its page; parts whose files are in the folder are not run again.

    Args:
        settings: models and speech.
        output: folder of the page and of the parts' files.
        progress: receives the name of each step.

    Raises:
        OptionError, ModelError, ProviderError, MissingExtraError: as the parts raise them.
        OutputError: a file cannot be written.
    """
    documents = []
    for part in _measurements(settings, progress):
        path = output / f"{part.name}.json"
        if path.is_file():
            document = read_document(path)
        else:
            progress(part.heading)
            document = part.make()
            document.name = part.name
            document.write(output)  # kept if a later part fails
        document.draw = part.draw
        documents.append((part.heading, document))
    write_page(documents, output, settings.command())


def _measurements(
    settings: StandardSettings,
    progress: Progress,
) -> Iterator[_Measurement]:
    small = _latency_settings(settings, None, settings.checkpoint)
    yield _Measurement(
        "Latency of the embedded model", "latency_small",
        lambda: latency.measure(small, progress), latency.draw,
    )  # fmt: skip
    if settings.large is not None:
        name = open_bundle(settings.large).manifest.name
        large = _latency_settings(settings, str(settings.large), settings.large_checkpoint)
        yield _Measurement(
            f"Latency of {name}", "latency_large",
            lambda: latency.measure(large, progress), latency.draw,
        )  # fmt: skip
        yield _Measurement(
            f"Roofline of {name}", "roofline_large",
            lambda: roofline.measure(roofline.RooflineSettings(large.model), progress),
        )  # fmt: skip
    yield _Measurement("Timelines", "windows", lambda: _windows(settings, progress), windows.draw)
    if settings.speech:
        labelled = accuracy.AccuracySettings(settings.speech, most=settings.most)
        yield _Measurement(
            "Accuracy", "accuracy",
            lambda: accuracy.measure(labelled, progress), accuracy.draw,
        )  # fmt: skip


def _latency_settings(
    settings: StandardSettings, model: str | None, checkpoint: Path | None
) -> latency.LatencySettings:
    return latency.LatencySettings(
        model,
        rounds=settings.rounds,
        varied=VARIED,
        baselines=settings.baselines if checkpoint else (),
        checkpoint=checkpoint,
        beside=settings.beside,
    )


def _windows(settings: StandardSettings, progress: Progress) -> Document:
    source = None
    if settings.speech:
        first = settings.speech[0]
        source = first if first.is_dir() else first.parent
    clips = windows.clips_of(source, WINDOW_SECONDS, WINDOW_CLIPS)
    return windows.measure(None, clips, settings.rounds, progress)

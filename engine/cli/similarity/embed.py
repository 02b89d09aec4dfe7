"""``e2v embed``: recordings into a store of embeddings, or a space fitted to compare them in."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import AudioError, E2VError
from ...files import printable
from ...settings import TURN_DETECTIONS
from .. import fail
from ..options import intake_options, model_options
from ..progress import TerminalProgress

if TYPE_CHECKING:
    from ...batch.inputs.input_file import InputFile
    from ...corpora.labelled import LabelledClip
    from ...embedder import Embedded, EmbedUnit
    from ...embeddings.store import Store
    from ...recognizer import Recognizer
    from ...settings import IntakeSettings, ModelSettings

CORPORA = (".csv", ".jsonl")
"""Endings of the manifests of labelled speech."""


@click.command()
@click.argument("audio", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="STORE",
    help="Folder of the embeddings; what it holds already stays and is not embedded again.",
)
@click.option(
    "--turns",
    metavar="vad|channels|FILE",
    help="An embedding for each turn, encoded alone; as in e2v recognize.",
)
@click.option("--window", type=float, help="An embedding for each window of so many seconds.")
@click.option("--hop", type=float, help="Seconds between windows; as long as one by default.")
@click.option("--split", default="all", show_default=True, help="Split of a CSV; all takes all.")
@click.option(
    "--parquet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the whole store as one Parquet file as well (extra parquet).",
)
@click.option(
    "--fit",
    is_flag=True,
    help="Fit the space that embeddings are compared in, and keep it in the bundle.",
)
@click.option(
    "--shrinkage",
    type=click.FloatRange(0, 1),
    help="With --fit: of the covariance; the best on held-out speakers by default.",
)
@intake_options
@model_options
def embed(
    audio: tuple[str, ...], output: Path | None, turns: str | None, window: float | None,
    hop: float | None, split: str, parquet: Path | None, fit: bool, shrinkage: float | None,
    intake_settings: IntakeSettings, model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Keep the embeddings of AUDIO in a store, with path, times, label, speaker and scores.

    AUDIO are recordings, folders, glob patterns and lists as in e2v batch, or labelled speech: a
    CSV with the columns path,label,speaker, or EmoBox's .jsonl.

    With --fit nothing is stored: a space is fitted on AUDIO and written into the bundle of --model.
    Labelled speech with speakers makes the better one.
    """
    from ...embedder import EmbedUnit
    from ...embeddings.parquet import check_parquet, write_parquet
    from ...embeddings.store import Store
    from ...recognizer import Recognizer

    chosen = None if split == "all" else split
    unit = EmbedUnit(turns, window, hop)
    _check(audio, unit, parquet)
    if fit:
        if output is not None or parquet is not None or unit != EmbedUnit():
            raise click.UsageError("--fit writes into the bundle, and takes whole recordings")
        return _fit(Recognizer.load(**asdict(model_settings)), audio, chosen, shrinkage)
    if output is None:
        raise click.UsageError("give the store with -o, or --fit")
    if parquet is not None:
        check_parquet()
    recognizer = Recognizer.load(**asdict(model_settings))
    store = Store.open(output, recognizer.bundle.manifest)
    with store.writing():
        run = _Run(store, recognizer, unit, intake_settings)
        code = run.add(audio, chosen)
    if parquet is not None:
        write_parquet(store, parquet)
    return code


def _check(audio: Sequence[str], unit: EmbedUnit, parquet: Path | None) -> None:
    if not audio and parquet is None:
        raise click.UsageError("no audio: give recordings, folders, or a CSV of labelled speech")
    if unit.turns is not None and unit.window is not None:
        raise click.UsageError("--turns and --window: give one of them")
    if unit.hop is not None and unit.window is None:
        raise click.UsageError("--hop is of windows: give --window too")


class _Run:
    """One call's additions to a store."""

    def __init__(
        self, store: Store, recognizer: Recognizer, unit: EmbedUnit, intake: IntakeSettings
    ) -> None:
        self.store = store
        self.recognizer = recognizer
        self.unit = unit
        self.intake = intake
        self.clips = {clip.place for clip in store.clips()}
        whole = unit.turns is None and unit.window is None
        self.files = {path for path, start, _ in self.clips if (start is None) == whole}
        self.failed: list[int] = []
        """Exit code of each failure."""
        self.pending: list[Embedded] = []
        self.added = self.skipped = 0
        self.progress = TerminalProgress()

    def add(self, audio: Sequence[str], split: str | None) -> int:
        """Embed what the store does not hold yet.

        Returns:
            the exit code.
        """
        from ...embeddings.store import BLOCK

        corpora, items = _sources(audio, split)
        if self.unit.turns not in (None, *TURN_DETECTIONS) and len(items) + len(corpora) > 1:
            raise click.UsageError(f"--turns {self.unit.turns} is of one recording")
        try:
            with self.progress:
                for embedded in chain(self._clips(corpora), self._recordings(items)):
                    self.pending += embedded  # all of a recording, or nothing, is in a block
                    if len(self.pending) >= BLOCK:
                        self._flush()
        finally:  # also when interrupted: what is done is kept
            self._flush()
            known = f", {self.skipped} recordings there already" if self.skipped else ""
            place = printable(str(self.store.path))
            click.echo(f"{place}: {self.added} embeddings added{known}", err=True)
        if not self.failed:
            return 0
        return 1 if self.added or self.skipped else self.failed[0]

    def _flush(self) -> None:
        import numpy as np

        if self.pending:
            vectors = np.stack([item.vector for item in self.pending])
            self.store.append(vectors, [item.clip for item in self.pending])
            self.added += len(self.pending)
            self.pending.clear()

    def _clips(self, corpora: Sequence[LabelledClip]) -> Iterator[list[Embedded]]:
        from ...embedder import embed_clips

        new = [
            clip
            for clip in corpora
            if (printable(str(clip.path)), clip.start, clip.end) not in self.clips
        ]
        self.skipped += len(corpora) - len(new)
        for embedded in embed_clips(self.recognizer, new, self.progress, self._fail):
            yield [embedded]

    def _recordings(self, items: Sequence[InputFile]) -> Iterator[list[Embedded]]:
        from ...embedder import embed_recordings

        new = [item for item in items if item.file not in self.files]
        self.skipped += len(items) - len(new)
        for item in new:
            if item.problem is not None:
                self._fail(AudioError(f"{item.file}: {item.problem}"))
        paths = [item.path for item in new if item.problem is None]
        with contextlib.closing(
            embed_recordings(self.recognizer, paths, self.unit, self.intake)
        ) as results:
            for number, result in enumerate(results, 1):
                self.progress("recordings", number, len(paths))
                if isinstance(result, E2VError):
                    self._fail(result)
                else:
                    yield result

    def _fail(self, error: E2VError) -> None:
        self.progress.close()
        self.failed.append(fail(error))


def _sources(audio: Sequence[str], split: str | None) -> tuple[list[LabelledClip], list[InputFile]]:
    """Labelled clips of the manifests, and all other recordings."""
    from ...batch.inputs.discover import collect
    from ...corpora.labelled import read_corpus

    manifests = [name for name in audio if Path(name).suffix.lower() in CORPORA]
    others = [name for name in audio if name not in manifests]
    clips = [clip for name in manifests for clip in read_corpus(Path(name), split)]
    return clips, collect(others, sys.stdin)


def _fit(
    recognizer: Recognizer, audio: Sequence[str], split: str | None, shrinkage: float | None
) -> int:
    """Fit a space and write it into the bundle."""
    from ...corpora.labelled import LabelledClip
    from ...embedder import embed_clips, fit_speech
    from ...embeddings.fitting import fit_space
    from ...embeddings.space import add_space

    clips, items = _sources(audio, split)
    clips += [LabelledClip(Path(item.path), None, Path(item.path).parent.name) for item in items]
    failed: list[int] = []
    with TerminalProgress() as progress:

        def tell(error: E2VError) -> None:
            progress.close()
            failed.append(fail(error))

        speech = fit_speech(list(embed_clips(recognizer, clips, progress, tell)))
        fitted_on = ", ".join(sorted(set(speech.corpora)))
        fitted = fit_space(speech, fitted_on, shrinkage, progress)
    record = add_space(recognizer.bundle, fitted.record, fitted.arrays)
    place = printable(str(recognizer.bundle.folder / record.file.path))
    told = ", ".join(f"{key} {value}" for key, value in record.evidence.items())
    click.echo(f"{place}: {record.method} on {fitted_on}; share {record.share:g}; {told}", err=True)
    return 1 if failed else 0

"""``e2v feedback``: corrected answers, kept on this machine to fit a head on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import OptionError
from .options import model_options

if TYPE_CHECKING:
    from ..corpora.feedback import Correction
    from ..recognizer import Recognizer
    from ..settings import ModelSettings

_store = click.option(
    "--store",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The store; $E2V_FEEDBACK or a file in the user's data folder else.",
)


@click.group()
def feedback() -> None:
    """Keep corrected answers, and make a manifest of them for e2v finetune --head.

    The store is a SQLite file on this machine, with the embeddings; nothing leaves it.
    """


@feedback.command()
@click.argument("result", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--label", required=True, help="What the emotion really was.")
@click.option("--speaker", help="Who speaks; a head is measured on speakers it did not learn from.")
@click.option("--file", help="Which recording is meant, where RESULT holds several.")
@_store
@model_options
def add(
    result: Path, label: str, speaker: str | None, file: str | None, store: Path | None,
    model_settings: ModelSettings,
) -> None:  # fmt: skip
    """Keep a correction of RESULT, a JSON file of e2v recognize or e2v batch.

    The recording is encoded again, unless RESULT names the file of its embedding.
    """
    from ..corpora.feedback import Correction, FeedbackStore, encoder_id
    from ..corpora.labelled import canonical
    from ..recognizer import Recognizer

    label = canonical(label)
    if not label:
        raise OptionError("--label is empty; give the emotion")
    report = _report(result, file)
    opened = FeedbackStore(store)
    recognizer = Recognizer.load(**asdict(model_settings))
    manifest = recognizer.bundle.manifest
    if recognizer.labels and label not in recognizer.labels:
        click.echo(
            f"{label} is none of the model's labels ({', '.join(recognizer.labels)}); a head "
            "fitted on it will have it",
            err=True,
        )
    number = opened.add(
        Correction(
            path=str(Path(report["file"]).absolute()),
            label=label,
            speaker=speaker,
            answered=report.get("emotion"),
            confidence=report.get("confidence"),
            seconds=report.get("seconds"),
            model=manifest.name,
            encoder=encoder_id(manifest),
            embedding=_embedding(report, result, recognizer),
        )
    )
    click.echo(f"{opened.path}: correction {number}: {report['file']} is {label}", err=True)


@feedback.command(name="list")
@_store
def list_(store: Path | None) -> None:
    """Show what is kept."""
    from ..corpora.feedback import FeedbackStore

    for one in FeedbackStore(store).corrections():
        heard = f", answered {one.answered} ({one.confidence:.0%})" if one.answered else ""
        who = f", {one.speaker}" if one.speaker else ""
        click.echo(f"{one.id}  {one.label}{heard}{who}  {one.path}  ({one.model}, {one.added})")


@feedback.command()
@click.argument("number", type=int)
@_store
def remove(number: int, store: Path | None) -> None:
    """Forget the correction of that number."""
    from ..corpora.feedback import FeedbackStore

    FeedbackStore(store).remove(number)


@feedback.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The new CSV.",
)
@_store
def export(output: Path, store: Path | None) -> None:
    """Write a manifest that e2v finetune --head takes."""
    from ..corpora.feedback import FeedbackStore, write_manifest

    corrections = FeedbackStore(store).corrections()
    if not corrections:
        raise OptionError("nothing is kept yet; e2v feedback add keeps a correction")
    write_manifest(corrections, output)
    click.echo(f"{output}: {_counts(corrections)}", err=True)


def _counts(corrections: list[Correction]) -> str:
    labels = [one.label for one in corrections]
    return ", ".join(f"{labels.count(label)} {label}" for label in sorted(set(labels)))


def _report(path: Path, file: str | None) -> dict[str, Any]:
    """The one report in a JSON file that is meant."""
    try:
        text = path.read_text(encoding="utf-8")
        try:
            content = json.loads(text)
        except ValueError:  # JSON lines
            content = [json.loads(line) for line in text.splitlines() if line.strip()]
        reports = content if isinstance(content, list) else [content]
        files = [str(report["file"]) for report in reports]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "it is no JSON of e2v recognize or e2v batch"
        raise OptionError(f"{path}: {reason}") from None
    meant = [r for r, name in zip(reports, files, strict=True) if file in (None, name)]
    if len(meant) != 1:
        some = ", ".join(files[:5]) or "none"
        raise OptionError(
            f"{path}: holds {len(files)} results ({some}); say with --file which one is meant"
        )
    found: dict[str, Any] = meant[0]
    return found


def _embedding(report: dict[str, Any], result: Path, recognizer: Recognizer) -> Any:
    """That of the report, if it is of this model, else a new one."""
    import numpy as np

    saved = report.get("embedding")
    if saved and report.get("model") == recognizer.bundle.manifest.name:
        for path in (Path(saved), result.parent / saved):
            if path.is_file():
                return np.load(path, allow_pickle=False).astype(np.float32).ravel()
    return recognizer.encode(report["file"]).embedding()

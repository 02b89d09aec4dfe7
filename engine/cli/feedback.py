"""``e2v feedback``: corrected answers, kept on this machine to fit a head on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import OptionError
from ..files import MOST_PATH, printable, read_regular
from .options import model_options

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from ..corpora.feedback import Correction
    from ..fields import Fields
    from ..recognizer import Recognizer
    from ..settings import ModelSettings

MOST_RESULT_BYTES = 256 << 20

_store = click.option(
    "--store",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the store; $E2V_FEEDBACK or a file in the user's data folder by default.",
)


@click.group()
def feedback() -> None:
    """Keep corrected answers, and make a manifest of them for e2v finetune --head.

    The store is a SQLite file on this machine, with the embeddings; nothing leaves it.
    """


@feedback.command()
@click.argument("result", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--label", required=True, help="True emotion of the recording.")
@click.option(
    "--speaker",
    help="Name of the speaker; a head is measured on speakers that it was not fitted on.",
)
@click.option("--file", help="Path of the recording that is meant, if RESULT holds several.")
@_store
@model_options
def add(
    result: Path, label: str, speaker: str | None, file: str | None, store: Path | None,
    model_settings: ModelSettings,
) -> None:  # fmt: skip
    """Keep a correction of RESULT, a JSON file of e2v recognize or e2v batch.

    The recording is encoded again, unless RESULT names the file of its embedding.
    """
    from ..bundle.manifest import encoder_id
    from ..corpora.feedback import Correction, FeedbackStore
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
            f"{printable(label)} is none of the model's labels ({', '.join(recognizer.labels)}); "
            "a head fitted on it will have it",
            err=True,
        )
    name = report.text("file", most=MOST_PATH)
    number = opened.add(
        Correction(
            path=printable(str(Path(name).absolute())),
            label=label,
            speaker=speaker,
            answered=report.values.get("emotion"),
            confidence=report.values.get("confidence"),
            seconds=report.values.get("seconds"),
            model=manifest.name,
            encoder=encoder_id(manifest),
            embedding=_embedding(report, result, recognizer),
        )
    )
    click.echo(f"{opened.path}: correction {number}: {name} is {label}", err=True)


@feedback.command(name="list")
@_store
def list_(store: Path | None) -> None:
    """List the corrections."""
    from ..corpora.feedback import FeedbackStore

    for kept in FeedbackStore(store).corrections():
        answered = ""
        if kept.answered is not None:
            confidence = "" if kept.confidence is None else f" ({kept.confidence:.0%})"
            answered = f", answered {kept.answered}{confidence}"
        speaker = f", {kept.speaker}" if kept.speaker else ""
        click.echo(
            f"{kept.id}  {kept.label}{answered}{speaker}  {kept.path}  ({kept.model}, {kept.added})"
        )


@feedback.command()
@click.argument("number", type=int)
@_store
def remove(number: int, store: Path | None) -> None:
    """Forget the correction of that NUMBER, as e2v feedback list shows it."""
    from ..corpora.feedback import FeedbackStore

    FeedbackStore(store).remove(number)


@feedback.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File of the new CSV.",
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
    counts = Counter(kept.label for kept in corrections)
    return ", ".join(f"{count} {label}" for label, count in sorted(counts.items()))


def _report(path: Path, file: str | None) -> Fields:
    """The one report in a JSON file that is meant."""
    from ..fields import Fields

    contents = _contents(path)
    reports = [
        Fields(content, f"{path}: result {number}", OptionError)
        for number, content in enumerate(contents, 1)
    ]
    files = [report.text("file", most=MOST_PATH) for report in reports]
    wanted = None if file is None else printable(file)
    meant = [r for r, name in zip(reports, files, strict=True) if wanted in (None, name)]
    if len(meant) != 1:
        some = ", ".join(files[:5]) or "none"
        raise OptionError(
            f"{path}: holds {len(files)} results ({some}); say with --file which one is meant"
        )
    return meant[0]


def _contents(path: Path) -> list[Any]:
    """Documents in a file of JSON or of JSON lines."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_RESULT_BYTES + 1)
        if len(content) > MOST_RESULT_BYTES:
            raise OptionError(
                f"{path}: larger than {MOST_RESULT_BYTES >> 20} MiB; give the result of one "
                "recording"
            )
        text = content.decode("utf-8")
        try:
            document = json.loads(text)
        except ValueError:  # JSON lines
            document = [json.loads(line) for line in text.split("\n") if line.strip()]
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        document = None
    documents = document if isinstance(document, list) else [document]
    if not all(isinstance(document, dict) for document in documents):
        raise OptionError(f"{path}: it is no JSON of e2v recognize or e2v batch")
    return documents


def _embedding(report: Fields, result: Path, recognizer: Recognizer) -> NDArray[float32]:
    """The embedding that the report names, if it is of this model, else a new one."""
    from ..bundle.npy import most_bytes, read_floats

    manifest = recognizer.bundle.manifest
    if report.has("embedding") and report.values.get("model") == manifest.name:
        name = Path(report.text("embedding", most=MOST_PATH))
        shape = (manifest.architecture.embed_dim,)
        for path in (name, result.parent / name):
            if path.is_file():
                try:
                    return read_floats(read_regular(path, most_bytes(shape)), shape)
                except (OSError, ValueError) as error:
                    reason = getattr(error, "strerror", None) or error
                    raise OptionError(
                        f"{path}: not the embedding of a recording: {reason}; without the file, "
                        "the recording is encoded again"
                    ) from None
    return recognizer.encode(report.text("file", most=MOST_PATH)).embedding()

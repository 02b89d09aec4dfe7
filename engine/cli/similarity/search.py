"""``e2v search`` and ``e2v similar``: recordings that sound alike."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...files import printable
from ...settings import NEIGHBOURS, SAME_PRIOR, SpaceChoice
from ..options import intake_options, model_options
from ..progress import TerminalProgress
from ..stdio import write_utf8
from . import stores

if TYPE_CHECKING:
    from ...embeddings.search import Found
    from ...embeddings.space import Space
    from ...settings import IntakeSettings, ModelSettings


@click.command()
@stores.store("store")
@click.argument("query")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=NEIGHBOURS,
    show_default=True,
    help="Number of recordings, best first.",
)
@stores.space
@click.option("--speaker", help="Speaker of QUERY, as the store names it.")
@click.option(
    "--same-speaker",
    type=click.Choice(["yes", "no"]),
    help="Find that --speaker alone, or everybody else.",
)
@click.option("--emotion", help="Find only what the model heard as this emotion.")
@click.option("--label", help="Find only what is labelled so.")
@stores.by_speaker
@click.option(
    "--approximate",
    is_flag=True,
    help="Search an index beside the store, for millions of embeddings (extra search).",
)
@stores.format_
@intake_options
@model_options
def search(
    store: Path, query: str, top: int, space: SpaceChoice, speaker: str | None,
    same_speaker: str | None, emotion: str | None, label: str | None, by_speaker: bool,
    approximate: bool, format_: str, intake_settings: IntakeSettings, model_settings: ModelSettings,
) -> None:  # fmt: skip
    """Find what in STORE sounds like QUERY, a recording.

    The search is exact and reads the whole store. With --approximate it reads an index and what is
    near; the index is made by the first such search, and what was embedded since is added to it.
    QUERY itself, if the store holds it, is not found.
    """
    from ...embeddings.approximate import ApproximateIndex, check_usearch
    from ...embeddings.clips import StoredClip
    from ...embeddings.search import nearest_clips
    from ...embeddings.space import Space
    from ...embeddings.store import Store
    from ...recognizer import Recognizer

    if same_speaker is not None and speaker is None:
        raise click.UsageError("--same-speaker is about the speaker of QUERY: give --speaker too")
    if approximate and by_speaker:
        raise click.UsageError("--approximate: the index knows no speakers; leave --by-speaker out")
    if approximate:
        check_usearch()
    opened = Store(store)
    recognizer = Recognizer.load(**asdict(model_settings))
    opened.check_model(recognizer.bundle.manifest)
    compared = Space.of(recognizer.bundle, space)
    vector = recognizer.encode(query, **asdict(intake_settings)).embedding()
    own = {printable(query), printable(str(Path(query).absolute()))}

    def keep(clip: StoredClip) -> bool:
        return (
            clip.path not in own
            and (emotion is None or clip.emotion == emotion)
            and (label is None or clip.label == label)
            and (same_speaker is None or (clip.speaker == speaker) == (same_speaker == "yes"))
        )

    if approximate:
        with TerminalProgress() as progress:
            index = ApproximateIndex(opened, compared, progress)
        if index.added:
            place = printable(str(store))
            click.echo(f"{place}: {index.added} embeddings added to its index", err=True)
        _tell_found(index.nearest_clips(vector, top, keep), format_)
        return
    content = opened.read()
    speakers = [*(clip.speaker for clip in content.clips), speaker] if by_speaker else None
    _tell_found(nearest_clips(content, vector, compared, top, keep, speakers), format_)


def _tell_found(found: list[Found], format_: str) -> None:
    if format_ == "json":
        write_utf8()
    elif not found:
        click.echo("nothing in the store is left to compare with", err=True)
    for rank, item in enumerate(found, 1):
        clip = item.clip
        if format_ == "json":
            row = {"rank": rank, "cosine": round(item.cosine, 6), "same_emotion": item.same_emotion}
            row |= {
                key: value for key, value in asdict(clip).items() if value not in (None, {}, ())
            }
            click.echo(json.dumps(row, ensure_ascii=False))
            continue
        same = "" if item.same_emotion is None else f"  {item.same_emotion:>4.0%} same emotion"
        labelled = ", ".join(filter(None, (clip.label, clip.speaker)))
        heard = "" if clip.emotion is None else f"  {clip.emotion} {clip.confidence or 0:.0%}"
        click.echo(
            f"{rank:>3}  {item.cosine:+.3f}{same}{heard:<18}  {clip.name}  {labelled}".rstrip()
        )


@click.command()
@click.argument("a")
@click.argument("b")
@stores.space
@click.option(
    "--prior",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=SAME_PRIOR,
    show_default=True,
    help="Share of such pairs that have one emotion, before they are heard.",
)
@stores.format_
@intake_options
@model_options
def similar(
    a: str, b: str, space: SpaceChoice, prior: float, format_: str,
    intake_settings: IntakeSettings, model_settings: ModelSettings,
) -> None:  # fmt: skip
    """Tell how probable it is that recordings A and B share an emotion, and what raw cosine says.

    The probability was calibrated on pairs of different speakers, of whom half shared an emotion.
    """
    from ...embeddings.space import Space
    from ...recognizer import Recognizer

    recognizer = Recognizer.load(**asdict(model_settings))
    compared = Space.of(recognizer.bundle, space)
    raw = Space.of(recognizer.bundle, "raw")
    encodings = [recognizer.encode(file, **asdict(intake_settings)) for file in (a, b)]
    first, second = (encoding.embedding() for encoding in encodings)
    report: dict[str, Any] = {
        "a": printable(a),
        "b": printable(b),
        "space": compared.name,
        "prior": prior,
        **_similarity(compared, compared.cosine(first, second), prior, ""),
        **_similarity(raw, raw.cosine(first, second), prior, "raw_"),
    }
    if recognizer.labels:
        report["emotions"] = [encoding.utterance().emotion for encoding in encodings]
    if format_ == "json":
        write_utf8()
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    _tell_similar(report)


def _similarity(space: Space, cosine: float, prior: float, prefix: str) -> dict[str, float | None]:
    return {
        f"{prefix}cosine": round(cosine, 6),
        f"{prefix}same_emotion": space.same_emotion(cosine, prior),
    }


def _tell_similar(report: dict[str, Any]) -> None:
    def line(name: str, prefix: str) -> str:
        same = report[f"{prefix}same_emotion"]
        told = "not calibrated" if same is None else f"{same:.0%} same emotion"
        return f"{name:<8} cosine {report[f'{prefix}cosine']:+.3f}  {told}"

    click.echo(line(report["space"], ""))
    if report["space"] != "raw":
        click.echo(line("raw", "raw_"))
    if "emotions" in report:
        click.echo(f"heard    {' and '.join(report['emotions'])}")

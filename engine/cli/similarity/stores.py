"""Options about stores that several verbs share, and stores brought into a space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from ...settings import SpaceChoice

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    from ...embeddings.clips import StoredClip
    from ...embeddings.space import Space

F = TypeVar("F", bound=Callable[..., Any])

space = click.option(
    "--space",
    type=click.Choice(get_args(SpaceChoice)),
    default="auto",
    show_default=True,
    help="fitted: made for similarity; raw: the embeddings as they are; emotion: the logits.",
)
by_speaker = click.option(
    "--by-speaker",
    is_flag=True,
    help="Take the mean of each speaker away first; better where the store knows the speakers.",
)
model = click.option(
    "--model", help="Path or name of the bundle; $E2V_MODEL or the embedded one by default."
)
format_ = click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format; json is one line for each result.",
)


def store(name: str) -> Callable[[F], F]:
    """An argument that is a store."""
    return click.argument(name, type=click.Path(path_type=Path))


@dataclass(frozen=True, eq=False)
class InSpace:
    """Content of a store, in a space."""

    space: Space
    vectors: NDArray[float32]
    """float32 [clips, size]."""
    clips: list[StoredClip]


def read_in_space(path: Path, model: str | None, name: SpaceChoice, *, speakers: bool) -> InSpace:
    """Read a store, and bring its embeddings into a space of the model.

    Raises:
        StoreError: there is no store, it is damaged, or of another model.
        NoSpaceError: the model does not have the space.
    """
    from ...bundle.locate import open_bundle
    from ...embeddings.space import Space
    from ...embeddings.store import Store

    opened = Store(path)
    bundle = open_bundle(model)
    opened.check_model(bundle.manifest)
    chosen = Space.of(bundle, name)
    content = opened.read()
    voices = [clip.voice for clip in content.clips] if speakers else None
    return InSpace(chosen, chosen.transform(content.vectors, voices), content.clips)

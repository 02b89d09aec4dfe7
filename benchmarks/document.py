"""What a benchmark found: tables that print, and files in JSON, Markdown and PNG."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import write_file
from emotion2vec_edge.engine.version import __version__

from .machine import Machine

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    form: str = ""
    """A format specification for its values."""
    better: Literal["lower", "higher"] | None = None
    """Which way is progress, for columns that two runs are compared by."""

    def text(self, value: Value) -> str:
        """A value as it is shown."""
        if value is None:
            return "–"
        return value if isinstance(value, str) else format(value, self.form)


@dataclass
class Table:
    """Rows of one measurement. The columns of text name a row."""

    title: str
    columns: list[Column]
    rows: list[list[Value]] = field(default_factory=list)
    note: str = ""

    def cells(self) -> list[list[str]]:
        """All rows as text."""
        return [
            [column.text(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def text(self) -> str:
        """For a terminal."""
        cells = [[column.name for column in self.columns], *self.cells()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        words = [not any(isinstance(row[i], int | float) for row in self.rows)
                 for i in range(len(self.columns))]  # fmt: skip
        lines = [
            "  ".join(
                cell.ljust(width) if is_word else cell.rjust(width)
                for cell, width, is_word in zip(row, widths, words, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])]) + "\n"

    def markdown(self) -> str:
        """For a page."""
        names = [column.name for column in self.columns]
        lines = [names, ["---"] * len(names), *self.cells()]
        body = "\n".join(f"| {' | '.join(row)} |" for row in lines)
        return f"**{self.title}**\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")


@dataclass
class Document:
    """Everything that one benchmark found."""

    name: str
    settings: dict[str, Any]
    models: list[str]
    """Each with what its weights are."""
    machine: Machine
    tables: list[Table] = field(default_factory=list)
    draw: Callable[[Document], bytes] | None = None
    """Makes a PNG of it."""

    def text(self) -> str:
        """For a terminal."""
        head = [*self.machine.lines(), *self.models]
        return "\n".join([*head, "", *(table.text() for table in self.tables)])

    def markdown(self, heading: str = "#") -> str:
        """For a page."""
        facts = "\n".join(f"- {line}" for line in [*self.machine.lines(), *self.models])
        picture = f"\n![{self.name}]({self.name}.png)\n" if self.draw else ""
        tables = "\n".join(table.markdown() for table in self.tables)
        return f"{heading} {self.name}\n\n{facts}\n{picture}\n{tables}"

    def to_json(self) -> str:
        """For programs; :func:`read_document` reads it back."""
        document = {
            "benchmark": self.name,
            "version": __version__,
            "date": time.strftime("%Y-%m-%d"),
            "settings": self.settings,
            "models": self.models,
            "machine": self.machine.to_dict(),
            "tables": [asdict(table) for table in self.tables],
        }
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"

    def write(self, folder: Path) -> None:
        """Write NAME.json, NAME.md and, where it can be drawn, NAME.png.

        Raises:
            OutputError: they cannot be written.
            MissingExtraError: matplotlib is not installed.
        """
        files = {".json": self.to_json().encode(), ".md": self.markdown().encode()}
        if self.draw is not None:
            files[".png"] = self.draw(self)
        for suffix, content in files.items():
            write_file(folder / f"{self.name}{suffix}", content)

    def table(self, title: str) -> Table:
        """The table whose title begins so."""
        return next(table for table in self.tables if table.title.startswith(title))


def read_document(path: Path) -> Document:
    """A document that was written as JSON, but for how it is drawn.

    Raises:
        OptionError: it is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        tables = [
            Table(
                table["title"],
                [Column(**column) for column in table["columns"]],
                table["rows"],
                table["note"],
            )
            for table in document["tables"]
        ]
        facts = document["machine"]
        facts["instructions"] = tuple(facts["instructions"])
        return Document(
            str(document["benchmark"]), document["settings"], document["models"],
            Machine(**facts), tables,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise OptionError(f"{path}: not the JSON of a benchmark: {reason}") from None


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    title: str,
    axis: str,
    intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> bytes:
    """A PNG of grouped bars: the values of each series, one a group, perhaps with intervals.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    import io

    from emotion2vec_edge.engine.errors import MissingExtraError

    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "pictures need matplotlib: pip install 'emotion2vec-edge[plot]'"
        ) from None
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(1, len(series))
    for number, (name, values) in enumerate(series.items()):
        at = [i - 0.4 + width * (number + 0.5) for i in range(len(groups))]
        heights = [0.0 if value is None else value for value in values]
        container = axes.bar(at, heights, width * 0.95, label=name)
        if intervals is not None:
            low, high = zip(*intervals[name], strict=True)
            spans = [
                [height - x for height, x in zip(heights, low, strict=True)],
                [x - height for height, x in zip(heights, high, strict=True)],
            ]
            axes.errorbar(at, heights, spans, fmt="none", ecolor="#333333", capsize=3, lw=1)
        kind: Any = "center" if intervals is not None else "edge"
        axes.bar_label(
            container, [_short(v) for v in values], fontsize=7, padding=2, label_type=kind
        )
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(axis)
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    return picture.getvalue()


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"

"""The result of a benchmark: tables that print, and files in JSON, Markdown and PNG."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import write_file
from emotion2vec_edge.engine.version import __version__

from ..instruments.machine import Machine
from .table import Column, Table


@dataclass
class Document:
    """Result of one benchmark."""

    name: str
    """Name of the benchmark and of its files."""
    settings: dict[str, Any]
    """Options of the measurement, JSON-ready."""
    models: list[str]
    """One line a model; see :func:`~.models.model_line`."""
    machine: Machine
    tables: list[Table] = field(default_factory=list)
    draw: Callable[[Document], bytes] | None = None
    """Function that makes a PNG of the document; None if it has no picture."""

    def text(self) -> str:
        """The document for a terminal."""
        head = [*self.machine.lines(), *self.models]
        return "\n".join([*head, "", *(table.text() for table in self.tables)])

    def markdown(self, heading: str = "#") -> str:
        """The document for a Markdown page."""
        facts = "\n".join(f"- {line}" for line in [*self.machine.lines(), *self.models])
        picture = f"\n![{self.name}]({self.name}.png)\n" if self.draw else ""
        tables = "\n".join(table.markdown() for table in self.tables)
        return f"{heading} {self.name}\n\n{facts}\n{picture}\n{tables}"

    def to_json(self) -> str:
        """The document as JSON, which :func:`read_document` reads."""
        document = {
            "benchmark": self.name,
            "version": __version__,
            "date": time.strftime("%Y-%m-%d"),
            "settings": self.settings,
            "models": self.models,
            "machine": self.machine.to_dict(),
            "tables": [asdict(table) for table in self.tables],
        }
        return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def write(self, folder: Path) -> None:
        """Write NAME.json, NAME.md and, if it has a picture, NAME.png.

        Raises:
            OutputError: a file cannot be written.
            MissingExtraError: matplotlib is not installed; the other files are written.
        """
        write_file(folder / f"{self.name}.json", self.to_json().encode())
        write_file(folder / f"{self.name}.md", self.markdown().encode())
        if self.draw is not None:
            write_file(folder / f"{self.name}.png", self.draw(self))

    def table(self, title: str) -> Table:
        """The first table whose title begins with ``title``."""
        return next(table for table in self.tables if table.title.startswith(title))


def read_document(path: Path) -> Document:
    """The document of a JSON file; its :attr:`Document.draw` is None.

    Raises:
        OptionError: the file cannot be read, or is not the JSON of a benchmark.
    """
    if not path.is_file():
        raise OptionError(f"{path}: not the JSON of a benchmark: not a regular file")
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

"""Tables: rows of values and the format of their columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    form: str = ""
    """Format specification of its values."""
    better: Literal["lower", "higher"] | None = None
    """Direction of progress, for a column that two runs are compared by."""

    def text(self, value: Value) -> str:
        """A value as text; – if there is none."""
        if value is None:
            return "–"
        return value if isinstance(value, str) else format(value, self.form)


@dataclass
class Table:
    """Rows of one measurement; the columns that hold text name the row."""

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
        """The table for a terminal."""
        cells = [[column.name for column in self.columns], *self.cells()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        is_text = [
            not any(isinstance(row[i], int | float) for row in self.rows)
            for i in range(len(self.columns))
        ]
        lines = [
            "  ".join(
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(row, widths, is_text, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])]) + "\n"

    def markdown(self) -> str:
        """The table for a Markdown page."""
        names = [column.name for column in self.columns]
        lines = [names, ["---"] * len(names), *self.cells()]
        body = "\n".join(f"| {' | '.join(row)} |" for row in lines)
        return f"**{self.title}**\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")

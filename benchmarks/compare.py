"""``e2v bench compare``: what has become better or worse between two runs of one benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emotion2vec_edge.engine.errors import OptionError

from .document import Column, Table, read_document


@dataclass(frozen=True)
class Comparison:
    """Ratios between two runs, and which of them are worse than allowed."""

    table: Table
    worse: list[str]


def compare(old: Path, new: Path, threshold: float) -> Comparison:
    """Compare two documents of the same benchmark, row by row.

    Args:
        old: JSON of the run to compare with.
        new: JSON of the run to judge.
        threshold: how many times worse a value may be.

    Raises:
        OptionError: not the JSON of a benchmark, of different ones, or without a common row.
    """
    earlier, later = read_document(old), read_document(new)
    if earlier.name != later.name:
        raise OptionError(f"{old} is of {earlier.name} and {new} of {later.name}")
    table = Table(
        f"{later.name}: {old} → {new}",
        [Column("row"), Column("value"), Column("old", ".4g"), Column("new", ".4g"),
         Column("times", ".3f"), Column("")],
        note=f"Worse by more than {threshold:g} times is marked.",
    )  # fmt: skip
    worse = []
    values = {table.title: _values(table) for table in earlier.tables}
    for now in later.tables:
        for (row, name), (value, better) in _values(now).items():
            then, _ = values.get(now.title, {}).get((row, name), (None, None))
            if then is None:
                continue
            if then == 0 or value == 0:
                times = 1.0 if then == value else float("inf")
            else:
                times = value / then if better == "lower" else then / value
            mark = "WORSE" if times > threshold else ""
            if mark:
                worse.append(f"{row}, {name}: {then:.4g} → {value:.4g}")
            table.rows.append([row, name, then, value, times, mark])
    if not table.rows:
        raise OptionError(f"{old} and {new} have no row in common")
    return Comparison(table, worse)


def _values(table: Table) -> dict[tuple[str, str], tuple[float, str]]:
    """Every value that has a better side, by the text of its row and its column."""
    values: dict[tuple[str, str], tuple[float, str]] = {}
    for row in table.rows:
        key = " ".join(
            cell
            for cell, column in zip(row, table.columns, strict=True)
            if isinstance(cell, str) and not column.name.startswith(("times", "95 %"))
        )
        for cell, column in zip(row, table.columns, strict=True):
            if column.better is not None and isinstance(cell, int | float):
                values[key, column.name] = (float(cell), column.better)
    return values

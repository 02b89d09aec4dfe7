"""Comparison of two runs of one benchmark."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from emotion2vec_edge.engine.errors import OptionError

from .document import read_document
from .table import Column, Table


@dataclass(frozen=True)
class Comparison:
    """Ratios between two runs."""

    table: Table
    worse: list[str]
    """One line for each value that is worse than allowed."""


def compare(old: Path, new: Path, threshold: float) -> Comparison:
    """Compare two documents of the same benchmark, row by row.

    Args:
        old: JSON of the run to compare with.
        new: JSON of the run to judge.
        threshold: largest allowed ratio of the worse value to the better.

    Raises:
        OptionError: a file is not the JSON of a benchmark, the benchmarks differ, or they have no
            row in common.
    """
    earlier, later = read_document(old), read_document(new)
    if earlier.name != later.name:
        raise OptionError(
            f"{old} is of {earlier.name} and {new} of {later.name}; give two runs of one benchmark"
        )
    table = Table(
        f"{later.name}: {old} → {new}",
        [Column("row"), Column("value"), Column("old", ".4g"), Column("new", ".4g"),
         Column("times", ".3f"), Column("")],
        note=f"Worse by more than {threshold:g} times is marked.",
    )  # fmt: skip
    worse = []
    old_values = {table.title: _values(table) for table in earlier.tables}
    for new_table in later.tables:
        common = old_values.get(new_table.title, {})
        for (row, name), (value, better) in _values(new_table).items():
            if (row, name) not in common:
                continue
            before, _ = common[row, name]
            times = _times(value, before) if better == "lower" else _times(before, value)
            mark = "WORSE" if times > threshold else ""
            if mark:
                worse.append(f"{row}, {name}: {before:.4g} → {value:.4g}")
            table.rows.append([row, name, before, value, times, mark])
    if not table.rows:
        raise OptionError(f"{old} and {new} have no row in common")
    return Comparison(table, worse)


def _times(worse: float, better: float) -> float:
    """Ratio of two values, also if the second is 0."""
    if better == 0:
        return 1.0 if worse == 0 else math.inf
    return worse / better


def _values(table: Table) -> dict[tuple[str, str], tuple[float, str]]:
    """(text of the row, column) → value and direction of progress, of columns that have one."""
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

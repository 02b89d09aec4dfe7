"""Documents as text, Markdown and JSON."""

import json
import math
from pathlib import Path

import pytest

from emotion2vec_edge.benchmarks.instruments import machine
from emotion2vec_edge.benchmarks.reporting.compare import compare
from emotion2vec_edge.benchmarks.reporting.document import Document, read_document
from emotion2vec_edge.benchmarks.reporting.table import Column, Table
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError


def document(value=10.0, share=0.5):
    table = Table(
        "Speed",
        [
            Column("what"),
            Column("ms", ".1f", "lower"),
            Column("share", ".0%", "higher"),
            Column("n", "d"),
        ],
        [["a", value, share, 3], ["b", None, 0.25, 4]],
        note="a note",
    )
    return Document("speed", {"n": 1}, ["model: random"], machine.describe(), [table])


def test_a_document_as_text_markdown_and_json(tmp_path):
    one = document()
    assert "a     10.0    50%  3" in one.text()
    assert "b        –    25%  4" in one.text()
    assert "| a | 10.0 | 50% | 3 |" in one.markdown()
    one.write(tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["speed.json", "speed.md"]
    assert read_document(tmp_path / "new" / "speed.json") == one
    facts = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert facts["machine"]["processors"] >= 1
    assert facts["models"] == ["model: random"]


def test_compare(e2v_bench, tmp_path):
    document().write(tmp_path / "old")
    document(12.0, 0.6).write(tmp_path / "new")
    old, new = tmp_path / "old" / "speed.json", tmp_path / "new" / "speed.json"
    found = compare(old, new, 1.1)
    assert [row[1:5] for row in found.table.rows] == [
        ["ms", 10.0, 12.0, pytest.approx(1.2)],
        ["share", 0.5, 0.6, pytest.approx(0.5 / 0.6)],
        ["share", 0.25, 0.25, 1.0],
    ]
    assert found.worse == ["a, ms: 10 → 12"]
    assert "WORSE" in e2v_bench("compare", old, new, code=1)
    e2v_bench("compare", old, new, "--threshold", 1.3)
    e2v_bench("compare", old, old)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(OptionError, match="not the JSON of a benchmark"):
        compare(old, tmp_path / "x.json", 1.1)
    other = document()
    other.name = "size"
    other.write(tmp_path / "new")
    with pytest.raises(OptionError, match="is of speed"):
        compare(old, tmp_path / "new" / "size.json", 1.1)


@pytest.mark.parametrize(
    ("better", "before", "after", "times"),
    [("lower", 0.0, 1.0, math.inf), ("lower", 1.0, 0.0, 0.0), ("higher", 0.0, 1.0, 0.0),
     ("higher", 1.0, 0.0, math.inf), ("lower", 0.0, 0.0, 1.0), ("higher", 0.0, 0.0, 1.0)],
)  # fmt: skip
def test_compare_with_a_zero(tmp_path, better, before, after, times):
    for folder, value in (("old", before), ("new", after)):
        table = Table("Speed", [Column("what"), Column("x", "g", better)], [["a", value]])
        Document("speed", {}, [], machine.describe(), [table]).write(tmp_path / folder)
    found = compare(tmp_path / "old" / "speed.json", tmp_path / "new" / "speed.json", 1.1)
    assert found.table.rows[0][4] == times
    assert bool(found.worse) == (times == math.inf)


def test_a_document_without_finite_numbers_is_not_written(tmp_path):
    table = Table("Speed", [Column("what"), Column("x")], [["a", math.nan]])
    with pytest.raises(ValueError, match="JSON compliant"):
        Document("speed", {}, [], machine.describe(), [table]).write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_document_is_kept_if_its_picture_cannot_be_drawn(tmp_path):
    def draw(_):
        raise MissingExtraError("pictures need matplotlib")

    table = Table("Speed", [Column("what")], [["a"]])
    with pytest.raises(MissingExtraError):
        Document("speed", {}, [], machine.describe(), [table], draw).write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speed.json", "speed.md"]


def test_a_device_is_no_document():
    with pytest.raises(OptionError, match="/dev/zero: .*not a regular file"):
        read_document(Path("/dev/zero"))

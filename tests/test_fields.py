"""Values taken out of documents by name, type and range."""

import pytest

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.engine.fields import Fields, read_json, shown


def fields(**values):
    return Fields(values, "config.yaml", CheckpointError)


def test_values_of_their_type_and_range():
    found = fields(
        count=3, share=0.5, whole=2, spelled="1e-05", flag=False, name="a\tb\n", list=["x"]
    )
    assert found.integer("count", most=3) == 3
    assert found.number("share", least=0, most=1) == 0.5
    assert isinstance(found.number("whole", least=0, most=2), float)
    assert found.number("spelled", least=0, most=1, from_text=True) == 1e-5
    assert found.boolean("flag") is False
    assert found.text("name") == "a\tb\n"
    assert found.texts("list", most=1) == ("x",)
    assert found.integer("gone", 7) == 7
    assert not found.has("gone")
    found.refuse_others()


@pytest.mark.parametrize(
    ("take", "message"),
    [
        (lambda f: f.integer("x"), "config.yaml: x is missing; it should be an integer from 1 to"),
        (lambda f: f.integer("text"), "text should be an integer from 1 to 2147483648, found 'a'"),
        (lambda f: f.integer("flag"), "flag should be an integer .*, found True"),
        (lambda f: f.integer("real"), "real should be an integer .*, found 1.5"),
        (lambda f: f.integer("huge"), "huge should be an integer .*, found a number of very many"),
        (lambda f: f.number("nan", least=0, most=1), "nan should be a number from 0 to 1"),
        (lambda f: f.number("flag", least=0, most=1), "flag should be a number"),
        (lambda f: f.number("text", least=0, most=1, from_text=True), "a number .* found 'a'"),
        (lambda f: f.number("spelled", least=0, most=1), "a number from 0 to 1, found '1'"),
        (lambda f: f.boolean("real"), "real should be true or false, found 1.5"),
        (lambda f: f.mapping("list"), r"list should be a mapping, found \[1\]"),
        (lambda f: f.mapping("map").integer("in"), "map.in should be an integer"),
        (lambda f: f.texts("list", most=3), r"list\[0\] should be text, found 1"),
        (lambda f: f.named_texts("keys", most=3), "keys should be text, found 5"),
        (lambda f: f.free("odd"), "odd should be made of text, finite numbers, lists and mappings"),
        (lambda f: f.free("cycle"), "cycle should be at most 20 levels deep"),
        (lambda f: f.refuse_others(), "text is not known to this version of e2v"),
        (lambda f: f.record("map", lambda inner: inner.name), "map.in is not known"),
    ],
)
def test_what_is_wrong_is_named(take, message):
    cycle = {}
    cycle["a"] = cycle
    found = fields(
        text="a", spelled="1", flag=True, real=1.5, huge=1 << 100_000, nan=float("nan"), list=[1],
        map={"in": "x"}, keys={5: "x"}, odd={"a": [object()]}, cycle=cycle,
    )  # fmt: skip
    with pytest.raises(CheckpointError, match=message):
        take(found)


@pytest.mark.parametrize(
    "value",
    ["\x1b[2J", "\ud800", "x" * 10_000, list(range(10_000)), [1 << 100_000], {"a": "\x00"}],
    ids=range(6),
)
def test_anything_can_be_shown(value):
    text = shown(value)
    assert len(text.encode()) < 500
    assert text.isprintable()


def test_json_is_strict_and_bounded(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": 1}')
    assert read_json(path, CheckpointError).integer("a") == 1
    for content in ('{"a": NaN}', "[1]", "{", '{"a": "' + 100 * "x" + '"}'):
        path.write_text(content)
        with pytest.raises(CheckpointError, match=r"x\.json"):
            read_json(path, CheckpointError, most=100)
    with pytest.raises(CheckpointError, match="No such file"):
        read_json(tmp_path / "gone", CheckpointError)

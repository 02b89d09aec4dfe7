"""Files of rules: all that is wrong is told at once, with the name of the key."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.alerts.document import read_rules
from emotion2vec_edge.engine.alerts.rules import Rule
from emotion2vec_edge.engine.errors import RuleFileError

WHOLE = """
[[rule]]
name = "upset"
emotions = ["angry", "disgusted"]
enter = 0.6
leave = 0.4
enter_for = 3
leave_for = 2.5
quiet = 60
sources = ["door"]

[[rule]]
name = "delight"
emotions = ["happy"]
enter = 0.9
leave = 0.9
"""

WRONG = """
room = 3
[[rule]]
name = "one"
emotions = []
enter = 1.5
leave = "low"
quiet = -1
for = 3
[[rule]]
emotions = ["sad"]
enter = 0.4
leave = 0.6
[[rule]]
name = "one"
emotions = ["sad"]
enter = 0.4
leave = 0.3
sources = "door"
"""


@pytest.fixture
def rules_of(tmp_path):
    def read(text):
        path = tmp_path / "rules.toml"
        path.write_text(text, encoding="utf-8")
        return read_rules(path)

    return read


def test_a_whole_file(rules_of):
    assert rules_of(WHOLE) == (
        Rule("upset", ("angry", "disgusted"), 0.6, 0.4, 3.0, 2.5, 60.0, ("door",)),
        Rule("delight", ("happy",), 0.9, 0.9),
    )


def test_the_example_of_the_documentation(rules_of):
    page = Path(__file__).parents[2] / "docs" / "box.md"
    (example,) = re.findall(
        r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (rule,) = rules_of(example)
    assert rule.text() in page.read_text(encoding="utf-8")


def test_everything_wrong_is_told_at_once(rules_of):
    with pytest.raises(RuleFileError) as refused:
        rules_of(WRONG)
    lines = [line.split("rules.toml: ")[1] for line in str(refused.value).splitlines()]
    assert [line.split(" ")[0] for line in lines] == [
        "rule[0].emotions", "rule[0].enter", "rule[0].leave", "rule[0].quiet", "rule[0].for",
        "rule[1].name", "rule[1].leave", "rule[2].sources", "room", "two",
    ]  # fmt: skip
    assert "rule[0].enter should be a number from 0 to 1, found 1.5" in lines
    assert "rule[1].leave should be at most enter, which is 0.4, found 0.6" in lines
    assert "two rules have the name 'one'" in lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rule is missing"),
        ("[[rule]", "cannot be read as TOML: .*line 1"),
        ("rule = 3", "rule should be a list"),
        ("rule = [3]", r"rule\[0\] should be a mapping, found 3"),
        ("rule = []", "rule should be a list of 1 to 100"),
        ("a = 1979-05-27T07:32:00Z", "a is not known"),
    ],
)
def test_files_that_are_no_rules(rules_of, text, message):
    with pytest.raises(RuleFileError, match=message):
        rules_of(text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RuleFileError, match=r"gone.toml: cannot be read as TOML: No such file"):
        read_rules(tmp_path / "gone.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleFileError, match="utf-8"):
        read_rules(tmp_path / "bytes.toml")


@given(start=st.integers(0, len(WHOLE)), length=st.integers(0, 20), new=st.text(max_size=10))
def test_any_change_gives_rules_or_an_error(tmp_path_factory, start, length, new):
    path = tmp_path_factory.getbasetemp() / "changed.toml"
    path.write_text(
        WHOLE[:start] + new + WHOLE[start + length :], encoding="utf-8", errors="replace"
    )
    try:
        assert read_rules(path)
    except RuleFileError as refused:
        assert "changed.toml" in str(refused)


@pytest.mark.parametrize("name", ["a\\nb", "  ", "\\t"])
def test_a_name_is_one_line(rules_of, name):
    text = f'[[rule]]\nname = "{name}"\nemotions = ["sad"]\nenter = 0.5\nleave = 0.4\n'
    with pytest.raises(RuleFileError, match=r"rule\[0\]\.name should be one line of text"):
        rules_of(text)

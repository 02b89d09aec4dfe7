"""The words of the project: docstrings, names of variables, and texts that speak of it alone."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("benchmarks", "engine", "export", "quantize")

RIDDLE = re.compile(r"(What|How|Whether|Where|Of|By|That|Which)\b")
"""First words of a docstring that is a fragment of an unspoken sentence."""

VAGUE = {"each", "one", "what", "who"}
"""Names of variables that say nothing of what they hold."""

FOREIGN = {
    "the number of an issue": re.compile(r"\bissue #?\d", re.IGNORECASE),
    "a path of one machine": re.compile(r"(?<![\w.}])/(?:root|work|tmp/\w|mnt)/"),
}
"""Texts that mean nothing to somebody who has the project alone."""


def sources():
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def docstrings(path):
    """(line, text) of each docstring, also of those below a field or a constant."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, node.value.value


def riddles(path):
    return [(line, text) for line, text in docstrings(path) if RIDDLE.match(text)]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_names_the_thing_first(path):
    name = str(path.relative_to(ROOT))
    found = [f"{name}:{line}: {text.splitlines()[0]}" for line, text in riddles(path)]
    assert not found, "name the thing, then its unit, then the reason:\n" + "\n".join(found)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_variable_says_what_it_holds(path):
    names = (
        (node.lineno, node.id if isinstance(node, ast.Name) else node.arg)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.arg)
    )
    assert not [(line, name) for line, name in names if name in VAGUE]


def texts():
    """Every text file of the project, but for the figures of measured machines."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("SKIPPED LOUDLY: this is no git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path == Path(__file__) or not path.is_file() or b"\0" in path.read_bytes()[:8192]:
            continue
        yield name, path.read_text(encoding="utf-8", errors="replace")


def test_texts_speak_of_the_project_alone():
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {kind}: {match.group()}"
        for name, text in texts()
        for kind, pattern in FOREIGN.items()
        for match in pattern.finditer(text)
    ]
    assert not found, "\n".join(found)

"""The arrows of docs/architecture.md: which room may import which, and how large a room may be.

Every import counts, also one inside a function or for type checking alone.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "emotion2vec_edge"

TOP = {
    "engine": set(),
    "export": {"engine"},
    "quantize": {"engine", "export"},
    "benchmarks": {"engine", "export", "quantize"},
}
"""Top folder → the top folders that it may import."""

GROUND = {"errors", "files", "metrics", "progress", "telemetry", "version"}
SOUND_AND_MODEL = GROUND | {"audio", "bundle"}
READING = SOUND_AND_MODEL | {"runtime", "results"}

ENGINE = {
    "version": set(),
    "telemetry": set(),
    "errors": set(),
    "progress": set(),
    "metrics": {"errors"},
    "files": {"errors"},
    "audio": GROUND,
    "bundle": GROUND,
    "runtime": SOUND_AND_MODEL,
    "results": SOUND_AND_MODEL,
    "corpora": SOUND_AND_MODEL,
    "embeddings": {"errors", "files", "metrics"},
    "fusion": {"errors", "metrics"},
    "streaming": READING,
    "settings": READING | {"streaming", "recognizer"},
    "recognizer": READING | {"streaming", "settings"},
    "batch": READING | {"streaming", "recognizer", "settings"},
    "serve": READING
    | {"streaming", "recognizer", "settings", "batch", "corpora", "embeddings", "fusion"},
    "cli": READING
    | {"streaming", "recognizer", "settings", "batch", "corpora", "embeddings", "fusion", "serve"},
}
"""Room of the engine → the rooms that it may import; ``engine/__init__.py`` names them all."""

PENDING = {
    "engine/runtime/profiling.py",
    "engine/streaming/stream.py",
    "engine/cli/recognize.py",
    "engine/recognizer.py",
    "engine/runtime/session.py",
    "export/finetune/augment.py",
    "export/finetune/bundle_head.py",
    "export/finetune/heads.py",
    "export/model.py",
    "quantize/quantizer.py",
    "benchmarks/accuracy.py",
    "benchmarks/baselines.py",
    "benchmarks/cli.py",
    "benchmarks/roofline.py",
}
"""Files that are still to be brought in order."""

MOST_FILE_LINES = 350
MOST_FUNCTION_LINES = 60


def sources():
    return [path for top in TOP for path in sorted((ROOT / top).rglob("*.py"))]


def imports(path):
    """(line, dotted name relative to the package) of every import of ours in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = list(parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                name = [*base, *(node.module.split(".") if node.module else [])]
            else:
                name = node.module.split(".")
                if name[0] != PACKAGE:
                    continue
                name = name[1:]
            for alias in node.names:
                yield node.lineno, [*name, alias.name]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name.split(".")
                if name[0] == PACKAGE and len(name) > 1:
                    yield node.lineno, name[1:]


def room_of(parts):
    """A file or a dotted name → its room, such as ``engine.audio`` or ``export``."""
    if parts[0] != "engine" or len(parts) < 2:
        return parts[0]
    return f"engine.{parts[1]}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_down(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[:2] == ["engine", "__init__"] or str(path.relative_to(ROOT)) in PENDING:
        return
    own = room_of(parts)
    wrong = []
    for line, name in imports(path):
        target = room_of(name)
        if target == own:
            continue
        if target.split(".")[0] != own.split(".")[0]:
            allowed = target.split(".")[0] in TOP[own.split(".")[0]]
        elif target == "engine" or target.split(".")[1] not in ENGINE:
            allowed = own == "engine.cli"  # from .. import …: the public face
        else:
            allowed = target.split(".")[1] in ENGINE[own.split(".")[1]]
        if not allowed:
            wrong.append(f"{path.relative_to(ROOT)}:{line}: {own} → {target} is not allowed")
    assert not wrong, "\n".join(wrong)


def test_every_room_of_the_engine_has_its_arrows():
    rooms = {
        entry.stem
        for entry in (ROOT / "engine").iterdir()
        if entry.suffix == ".py" or (entry / "__init__.py").is_file()
    }
    assert rooms - {"__init__", "models", "samples"} <= ENGINE.keys()


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_function_is_too_long(path):
    if str(path.relative_to(ROOT)) in PENDING:
        return
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= MOST_FUNCTION_LINES, f"{node.name}: {length} lines"

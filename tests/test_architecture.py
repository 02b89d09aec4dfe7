"""The arrows of docs/architecture.md: which room may import which, and how large a room may be.

Every import counts, also one inside a function or for type checking alone.
"""

import ast
import functools
from collections import Counter
from graphlib import CycleError, TopologicalSorter
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

GROUND = {
    "display", "errors", "fields", "files", "metrics", "objects", "progress", "settings", "systemd", "telemetry",
    "version",
}  # fmt: skip
SOUND_AND_MODEL = GROUND | {"audio", "bundle"}
READING = SOUND_AND_MODEL | {"runtime", "results", "voice"}

ENGINE = {
    "version": set(),
    "telemetry": set(),
    "errors": set(),
    "systemd": set(),
    "progress": set(),
    "display": set(),
    "fields": {"errors", "files"},
    "settings": {"errors"},
    "metrics": {"errors"},
    "files": {"errors"},
    "objects": {"errors", "files"},
    "audio": GROUND,
    "bundle": GROUND,
    "voice": GROUND | {"audio"},
    "runtime": SOUND_AND_MODEL,
    "results": SOUND_AND_MODEL,
    "turns": READING | {"pipeline"},
    "corpora": SOUND_AND_MODEL,
    "datasets": GROUND | {"audio"},
    "embeddings": GROUND | {"bundle"},
    "fusion": GROUND,
    "streaming": READING,
    "pipeline": READING,
    "recognizer": READING | {"streaming", "pipeline", "turns"},
    "alerts": READING | {"streaming"},
    "sinks": READING | {"streaming", "alerts"},
    "embedder": READING | {"recognizer", "corpora", "embeddings"},
    "batch": READING | {"streaming", "recognizer", "datasets"},
    "serve": READING
    | {"streaming", "recognizer", "batch", "corpora", "embedder", "embeddings", "fusion"},
    "cli": READING
    | {
        "streaming", "recognizer", "batch", "corpora", "datasets", "embedder", "embeddings", "fusion",
        "serve", "alerts", "sinks",
    },
}  # fmt: skip
"""Room of the engine → the rooms that it may import; ``engine/__init__.py`` names them all."""

INSTRUMENTS = {"choices", "instruments", "models", "speech"}

BENCHMARKS = {
    "choices": set(),
    "instruments": set(),
    "models": set(),
    "speech": set(),
    "degradations": set(),
    "conversations": set(),
    "random_models": {"choices", "models"},
    "reporting": {"instruments"},
    "baselines": INSTRUMENTS,
    "suites": INSTRUMENTS | {"conversations", "degradations", "reporting", "baselines"},
    "studies": {"instruments", "models", "reporting"},
    "cli": {"choices", "degradations", "random_models", "reporting", "studies", "suites"},
}

ROOMS = {"engine": ENGINE, "benchmarks": BENCHMARKS}
"""Top folder → its rooms, and the rooms beside it that each may import."""

MOST_FILE_LINES = 350
MOST_FUNCTION_LINES = 60
MOST_ENTRIES = 12

NO_ROOM = {"__init__.py", "__main__.py"}
DATA = {"models", "samples"}
"""Folders of the engine that hold files and no code."""


def sources():
    return [path for top in TOP for path in sorted((ROOT / top).rglob("*.py"))]


@functools.cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """(line, dotted name relative to the package) of every import of ours in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = list(parts[:-1])
    for node in ast.walk(parsed(path)):
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
    if len(parts) > 1 and parts[1] in ROOMS.get(parts[0], ()):
        return f"{parts[0]}.{parts[1]}"
    return parts[0]


def name_of(path):
    return str(path.relative_to(ROOT))


def allowed_from(room):
    """Rooms that a room may import, by their full names."""
    top, _, own = room.partition(".")
    return TOP[top] | {f"{top}.{name}" for name in ROOMS.get(top, {}).get(own, ())}


def may_import(room, target):
    """True if the arrow from one room to another is allowed."""
    if target == room or target.split(".")[0] in TOP[room.split(".")[0]]:
        return True
    if target == "engine":  # from .. import …: the public face
        return room == "engine.cli"
    return target in allowed_from(room)


def way_out(room, target):
    """Advice for an arrow that is not allowed: the rooms that may hold such code."""
    top = room.split(".")[0]
    rooms = [*TOP, *(f"{top}.{name}" for name in ROOMS.get(top, ()))]
    above = [
        other
        for other in rooms
        if other not in {room, target} and may_import(other, room) and may_import(other, target)
    ]
    return (
        f"{room} may import: {', '.join(sorted(allowed_from(room))) or 'nothing of ours'}. "
        f"Code that needs both belongs above them: {', '.join(above) or 'nowhere'}. "
        "Code that both need belongs in a room that both may import."
    )


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_arrows_point_down(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[:2] == ["engine", "__init__"]:
        return
    own = room_of(parts)
    wrong = [
        f"{name_of(path)}:{line}: {own} → {target} is not allowed. {way_out(own, target)}"
        for line, name in imports(path)
        for target in [room_of(name)]
        if not may_import(own, target)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_forbidden_arrow_is_answered_with_a_way_out():
    assert not may_import("engine.audio", "engine.bundle")
    assert "above them: export, quantize, benchmarks, engine.runtime," in way_out(
        "engine.audio", "engine.bundle"
    )
    assert not may_import("export", "quantize")
    assert "above them: benchmarks." in way_out("export", "quantize")


@pytest.mark.parametrize("top", ROOMS)
def test_every_room_has_its_arrows(top):
    rooms = {
        entry.stem
        for entry in (ROOT / top).iterdir()
        if entry.suffix == ".py" or (entry / "__init__.py").is_file()
    }
    new = rooms - {"__init__"} - DATA - ROOMS[top].keys()
    assert not new, f"{new}: name the rooms that it may import in {top.upper()}, above"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_no_file_and_no_function_is_too_long(path):
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= MOST_FILE_LINES, f"{name_of(path)}: {lines} lines; a part of it is a module"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= MOST_FUNCTION_LINES, (
                f"{name_of(path)}:{node.lineno}: {node.name} has {length} lines; name its steps"
            )


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=name_of)
def test_no_test_file_is_too_long(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_FILE_LINES, f"{name_of(path)}: {lines} lines; one file a module"


def packages():
    """Every package, but for the engine itself, whose rooms are those of ENGINE."""
    return [path.parent for path in sources() if path.name == "__init__.py"][1:]


@pytest.mark.parametrize("folder", packages(), ids=name_of)
def test_no_package_has_too_many_entries(folder):
    entries = [
        entry.name
        for entry in folder.iterdir()
        if (entry.suffix == ".py" and entry.name not in NO_ROOM)
        or (entry / "__init__.py").is_file()
    ]
    assert len(entries) <= MOST_ENTRIES, (
        f"{name_of(folder)}: {len(entries)} entries, {', '.join(sorted(entries))}; those that change "
        "together make a package"
    )


@pytest.mark.parametrize("folder", [ROOT / "engine", *packages()], ids=name_of)
def test_no_entries_of_a_package_import_each_other_in_a_circle(folder):
    """The package itself, which only hands names on, is none of its entries."""
    package = list(folder.relative_to(ROOT).parts)
    depth = len(package)
    arrows = {}
    for path in folder.rglob("*.py"):
        own = path.relative_to(folder).with_suffix("").parts[0]
        if own != "__init__":
            arrows.setdefault(own, set()).update(
                name[depth] for _, name in imports(path) if name[:depth] == package != name
            )
    for own, targets in arrows.items():
        targets.intersection_update(arrows.keys() - {own})
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"{name_of(folder)}: {' → '.join(reversed(error.args[1]))}")


BESIDE = {"robustness"}
"""Folders of tests that attack several rooms."""


def test_tests_mirror_the_packages():
    tests = ROOT / "tests"
    rooms = {name_of(folder).removeprefix("engine/") for folder in packages()}
    for path in tests.rglob("test_*.py"):
        folder = path.parent.relative_to(tests)
        if folder.parts and folder.parts[0] not in BESIDE:
            assert str(folder) in rooms, (
                f"{name_of(path)}: there is no package {folder}; tests of engine/X lie in tests/X, "
                "of export/Y in tests/export/Y"
            )


def test_no_two_test_files_have_one_name():
    """pytest takes a file's name for its module's."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert not [name for name, count in names.items() if count > 1]

"""What README.md and docs/ show is true: their Python runs, their commands and links exist."""

import doctest
import importlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
import soundfile
from recordings import encoded, tone
from test_architecture import ENGINE

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.cli import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "RELEASING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def name_of(path):
    return str(path.relative_to(ROOT))


def blocks(path, language):
    """The fenced blocks of a page in one language: (line, text)."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield text.count("\n", 0, match.start()) + 2, match[1]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 8_000


@pytest.mark.parametrize("path", [p for p in PAGES if [*blocks(p, "python")]], ids=name_of)
def test_the_python_of_a_page_runs(path, tmp_path, monkeypatch):
    """All of a page in one go, as a reader would, with the files and samples that it speaks of."""
    monkeypatch.chdir(tmp_path)
    samples = load_audio(example_recordings()[0]).samples
    soundfile.write("call.wav", samples, 16_000)
    names = {"samples": samples, "microphone": [samples[:20_000], samples[20_000:]]}
    for line, text in blocks(path, "python"):
        exec(compile("\n" * (line - 1) + text, path, "exec"), names)  # noqa: S102 - our own pages


def commands(path):
    """Every call of e2v on a page: (line, its arguments)."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"`(e2v [^`\n]+)`", text):
        yield text.count("\n", 0, match.start()) + 1, match[1]
    for start, block in blocks(path, "bash"):
        for number, line in enumerate(block.splitlines()):
            for match in re.finditer(r"(?:^|\| |')(?:\w+=\S+ )?(e2v [^|']*)", line):
                yield start + number, match[1]


def parsed(arguments):
    """Parses a call as click would, without running it; fails on what the command does not know."""
    command, path, rest = cli, "e2v", shlex.split(arguments, comments=True)[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        child = command.get_command(click.Context(command), rest[0])
        if child is None:
            raise click.UsageError(f"{path} has no command {rest[0]}")
        command, path, rest = child, f"{path} {rest[0]}", rest[1:]
    context = click.Context(command, info_name=path)
    values, _, _ = command.make_parser(context).parse_args(list(rest))
    for parameter in command.params:
        if isinstance(parameter.type, click.Choice) and parameter.name in values:
            given = values[parameter.name]
            for value in given if parameter.multiple else [given]:
                parameter.type.convert(value, parameter, context)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_the_commands_of_a_page_exist(path):
    for line, arguments in commands(path):
        if "…" in arguments or "COMMAND" in arguments:
            continue
        try:
            parsed(arguments)
        except click.UsageError as error:
            pytest.fail(f"{name_of(path)}:{line}: {arguments}: {error.format_message()}")


def test_the_commands_of_the_service_and_of_the_container_exist():
    unit = (ROOT / "docs" / "_static" / "e2v-stream@.service").read_text(encoding="utf-8")
    (started,) = re.findall(r"^ExecStart=\S+/(e2v .*)$", unit, re.MULTILINE)
    parsed(started)
    compose = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    (words,) = re.findall(r"^ +command: \[(.*)\]$", compose, re.MULTILINE)
    parsed("e2v " + words.replace(",", " "))


@pytest.mark.parametrize(
    "call", ["e2v recognise a.wav", "e2v recognize --granularity word", "e2v bench latency --speed"]
)
def test_a_command_that_does_not_exist_is_found(call):
    with pytest.raises(click.UsageError):
        parsed(call)


@pytest.mark.parametrize("path", [p for p in PAGES if p.parent == ROOT], ids=name_of)
def test_the_links_of_a_page_lead_somewhere(path):
    """Sphinx checks those of docs/."""
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (ROOT / target).exists(), target


def script(name):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_commands_is_current():
    reference = script("cli_reference")
    current = reference.PAGE.read_text(encoding="utf-8") == reference.page()
    assert current, "run python docs/cli_reference.py"


def test_the_picture_of_the_rooms_is_current():
    drawing = script("architecture_picture")
    current = drawing.PICTURE.read_text(encoding="utf-8") == drawing.picture()
    assert current, "run python docs/architecture_picture.py"


def test_the_picture_shows_every_room_above_the_rooms_that_it_may_import():
    height = {
        name: -number
        for number, layer in enumerate(script("architecture_picture").LAYERS)
        for name in layer
    }
    present = {entry.stem for entry in (ROOT / "engine").iterdir()}
    drawn, rooms = height.keys(), ENGINE.keys() & present
    assert drawn == rooms, "LAYERS in docs/architecture_picture.py"
    for room, below in ENGINE.items():
        for other in below & height.keys():
            assert room not in height or height[other] < height[room], f"{room} → {other}"


@pytest.fixture
def entered(tmp_path, monkeypatch):
    """Files of the engine in the order in which a waveform enters them, after the model is open."""
    recording = tmp_path / "call.m4a"
    recording.write_bytes(encoded(tone(3.0), 16_000, "ipod", codec="aac"))
    call = ["recognize", str(recording), "--granularity", "frame", "--format", "csv"]
    call = [*call, "-o", str(tmp_path / "call.csv")]
    cli.main(call, standalone_mode=False)  # loads the modules
    files: list[str] = []

    def note(frame, event, _argument):
        _, found, file = frame.f_code.co_filename.partition("emotion2vec_edge/engine/")
        if event == "call" and found and file not in files:
            files.append(file)

    load = Recognizer.load

    def loaded(*args, **values):
        sys.setprofile(None)
        recognizer = load(*args, **values)
        files[:] = ["cli/recognize.py"]
        sys.setprofile(note)
        return recognizer

    monkeypatch.setattr(Recognizer, "load", loaded)
    sys.setprofile(note)
    try:
        cli.main(call, standalone_mode=False)
    finally:
        sys.setprofile(None)
    return files


def test_the_walk_of_one_waveform_is_true(entered):
    """The page names the files in the order in which they are entered."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("## The walk of one waveform")[1].split("A batch takes")[0]
    named = list(dict.fromkeys(re.findall(r"`([\w/]+\.py)`", section)))
    assert len(named) > 15
    assert named == [file for file in entered if file in named]


def test_the_files_that_the_architecture_names_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", page):
        assert any((ROOT / top / name).exists() for top in (".", "engine")), name


def with_examples():
    """Modules whose docstrings hold examples."""
    for top in ("engine", "export", "quantize", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if ">>>" in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(["emotion2vec_edge", *parts]).removesuffix(".__init__")


@pytest.mark.parametrize("module", list(with_examples()))
def test_the_examples_of_docstrings_run(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_table_of_rooms_names_every_room():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| room |")[2].partition("\n\n")[0]
    names = {name for row in table.splitlines() for name in re.findall(r"`(\w+)(?:/|\.py)`", row)}
    present = {entry.stem for entry in (ROOT / "engine").iterdir()}
    assert names == ENGINE.keys() & present

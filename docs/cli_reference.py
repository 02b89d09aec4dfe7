"""Write ``docs/cli.md``, the reference of all commands, from the commands themselves."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from emotion2vec_edge.engine.cli import VERBS, cli

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# Commands

Made from the commands' own help by `docs/cli_reference.py`; `e2v COMMAND --help` shows the same.
Results go to stdout, everything else to stderr. [Exit codes](recognize.md#exit-codes) are the same
for all commands.

| command | what it does |
| --- | --- |
"""


def page() -> str:
    """Text of the page."""
    rows = [f"| [`e2v {verb}`](#e2v-{verb}) | {summary} |" for verb, (_, summary) in VERBS.items()]
    context = click.Context(cli, info_name="e2v")
    sections = [
        line
        for verb in VERBS
        for line in _section(cli.get_command(context, verb), f"e2v {verb}", level=2)
    ]
    return HEAD + "\n".join([*rows, "", *sections]).rstrip() + "\n"


def _section(command: click.Command, path: str, level: int) -> Iterator[str]:
    """Lines about a command and the commands below it."""
    yield from ["#" * level + f" {path}", "", *_description(command), ""]
    arguments = [_argument(p) for p in command.params if isinstance(p, click.Argument)]
    nested = sorted(command.commands.items()) if isinstance(command, click.Group) else []
    usage = [path, *(["COMMAND"] if nested else []), "[OPTIONS]", *arguments]
    yield from ["```text", " ".join(usage), "```", ""]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        yield from ["| option | meaning |", "| --- | --- |", *map(_row, options), ""]
    for name, child in nested:
        yield from _section(child, f"{path} {name}", level + 1)


def _description(command: click.Command) -> Iterator[str]:
    """The paragraphs of a command's help; those that it marks as preformatted as code."""
    for number, paragraph in enumerate(inspect.cleandoc(command.help or "").split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("\b\n"):
            yield from ["```bash", *inspect.cleandoc(paragraph[2:]).splitlines(), "```"]
        else:
            yield paragraph.replace("\n", " ").replace("*", r"\*")


def _argument(argument: click.Argument) -> str:
    name = (argument.name or "").upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _row(option: click.Option) -> str:
    """Row of the table about one option."""
    names = ", ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else " " + _value(option)
    notes = list(_notes(option))
    text = (option.help or "") + (f" ({'; '.join(notes)})" if notes else "")
    return (
        "| " + " | ".join(cell.replace("|", r"\|") for cell in (f"`{names}{value}`", text)) + " |"
    )


def _notes(option: click.Option) -> Iterator[str]:
    """Facts that the help of an option does not say itself."""
    if option.required:
        yield "required"
    if isinstance(option.type, click.IntRange | click.FloatRange):
        low, high = option.type.min, option.type.max
        yield f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
    if isinstance(option.show_default, str):
        yield f"default: {option.show_default}"
    elif option.show_default and isinstance(option.default, list | tuple):
        yield f"default: {', '.join(map(str, option.default))}"
    elif option.show_default and isinstance(option.default, bool):
        yield f"default: {(option.opts if option.default else option.secondary_opts)[0]}"
    elif option.show_default:
        yield f"default: {option.default}"


def _value(option: click.Option) -> str:
    """What an option takes."""
    kind = option.type
    if option.metavar:
        return option.metavar
    repeated = "..." if option.multiple else ""
    if isinstance(kind, click.Choice):
        return "[" + "|".join(map(str, kind.choices)) + "]" + repeated
    if isinstance(kind, click.Path):
        return ("PATH" if kind.dir_okay else "FILE") + repeated
    return kind.name.upper().removesuffix(" RANGE") + repeated


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")

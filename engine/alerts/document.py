"""Files of alert rules in TOML: a table ``[[rule]]`` for each, with the fields of a rule."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import MissingExtraError, RuleFileError
from ..fields import Fields
from ..files import printable, read_regular
from ..settings import MOST_SECONDS
from .rules import Rule

MOST_BYTES = 1 << 20
MOST_RULES = 100
MOST_NAMES = 100
"""Emotions, or sources, of one rule."""

NAME = r".*\S.*"
"""Names of rules, which stand in messages of one line."""

T = TypeVar("T")


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read a file of rules.

    Raises:
        RuleFileError: it cannot be read, or holds what is no rule; the message has a line for each
            thing that is wrong.
        MissingExtraError: Python 3.10 needs tomli.
    """
    name = printable(str(path))
    try:
        document = _parse(read_regular(path, MOST_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise RuleFileError(f"{name}: cannot be read as TOML: {reason}") from None
    problems = _Problems()
    fields = Fields(document, name, RuleFileError)
    none: tuple[Rule, ...] = ()
    rules = problems.take(
        lambda: fields.records(
            "rule", lambda entry: _rule(entry, problems), least=1, most=MOST_RULES
        ),
        none,
    )
    problems.unknown(fields)
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            problems.add(f"{name}: two rules have the name {rule.name!r}")
        seen.add(rule.name)
    problems.refuse()
    return rules


def _parse(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise MissingExtraError(
                "rules need tomli on Python 3.10: pip install 'emotion2vec-edge[alerts]'"
            ) from None
    return tomllib.loads(text)


class _Problems:
    """Everything that is wrong with a file."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def add(self, message: str) -> None:
        self._messages.append(message)

    def take(self, read: Callable[[], T], default: T) -> T:
        """Value of a field, or the default if it cannot be used."""
        try:
            return read()
        except RuleFileError as problem:
            self.add(str(problem))
            return default

    def unknown(self, fields: Fields) -> None:
        for key in fields.others():
            self.take(lambda key=key: fields.refuse(key), None)  # type: ignore[misc]

    def refuse(self) -> None:
        if self._messages:
            raise RuleFileError("\n".join(self._messages))


def _rule(fields: Fields, problems: _Problems) -> Rule:
    def seconds(key: str) -> float:
        return problems.take(lambda: fields.number(key, 0.0, least=0, most=MOST_SECONDS), 0.0)

    def level(key: str, default: float) -> float:
        return problems.take(lambda: fields.number(key, least=0, most=1), default)

    def names(key: str) -> tuple[str, ...]:
        none: tuple[str, ...] = ()
        return problems.take(lambda: fields.texts(key, least=1, most=MOST_NAMES), none)

    rule = Rule(
        name=problems.take(
            lambda: fields.text("name", most=100, pattern=NAME, allowed="one line of text"), ""
        ),
        emotions=tuple(dict.fromkeys(names("emotions"))),
        enter=level("enter", 1.0),
        leave=level("leave", 0.0),
        enter_for=seconds("enter_for"),
        leave_for=seconds("leave_for"),
        quiet=seconds("quiet"),
        sources=names("sources") if fields.has("sources") else (),
    )
    if rule.leave > rule.enter:
        problems.add(
            str(fields.wrong("leave", f"at most enter, which is {rule.enter:g}", rule.leave))
        )
    problems.unknown(fields)
    return rule

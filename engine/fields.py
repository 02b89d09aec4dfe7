"""Typed reading of documents from outside, such as ``bundle.json`` or a checkpoint's config.

Every value is taken out by name with the type and the range that are allowed for it, so that what
is read needs no further checks.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import E2VError
from .files import printable, read_regular

MOST_DEPTH = 20
"""Levels of lists and mappings in a free-form value."""

MOST_TEXT = 1_000
"""Characters of a text, where nothing else is said."""

T = TypeVar("T")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters other than tab and line break, and halves of surrogate pairs."""

_MISSING: Any = object()


def read_json(path: Path, error: type[E2VError], most: int = 4 << 20) -> Fields:
    """Fields of a file of one JSON mapping, of at most ``most`` bytes.

    Raises:
        E2VError: of the class ``error``: the file cannot be read.
    """
    name = printable(str(path))
    try:
        text = read_regular(path, most).decode("utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{name}: cannot be read as JSON: {reason}") from None
    return Fields(document, name, error)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


class Fields:
    """A mapping of a document.

    Args:
        values: the mapping as it was parsed.
        document: the file, for messages.
        error: class of the exceptions.
        name: path of the mapping in the document, such as ``audio``; empty for the document itself.

    Raises:
        E2VError: ``values`` is no mapping. All methods raise the class ``error``, with the name of
            the field, what is allowed and what was found.
    """

    def __init__(
        self, values: object, document: str, error: type[E2VError], name: str = ""
    ) -> None:
        self.document = document
        self.name = name
        self.error = error
        if not isinstance(values, dict):
            raise error(
                f"{document}: {name or 'the document'} should be a mapping, found {shown(values)}"
            )
        self.values: dict[Any, Any] = values
        self._taken: set[str] = set()

    def has(self, key: str) -> bool:
        """True if the field is there and not null."""
        self._taken.add(key)
        return self.values.get(key) is not None

    def mapping(self, key: str) -> Fields:
        """Take out a mapping."""
        return self._inner(self._take(key, _MISSING, "a mapping"), key)

    def record(self, key: str, read: Callable[[Fields], T]) -> T:
        """Take out a mapping with known fields, as ``read`` makes it; others are refused."""
        return _whole(self.mapping(key), read)

    def optional(self, key: str, read: Callable[[Fields], T]) -> T | None:
        """:meth:`record`, or None if there is none."""
        return self.record(key, read) if self.has(key) else None

    def records(
        self, key: str, read: Callable[[Fields], T], *, least: int = 0, most: int
    ) -> tuple[T, ...]:
        """Take out a list of :meth:`record`."""
        values = self._list(key, least, most)
        return tuple(
            _whole(self._inner(value, f"{key}[{number}]"), read)
            for number, value in enumerate(values)
        )

    def named_records(
        self, key: str, read: Callable[[Fields], T], *, least: int = 0, most: int
    ) -> dict[str, T]:
        """Take out a mapping from any names to :meth:`record`."""
        inner = self.mapping(key)
        return {name: inner.record(name, read) for name in inner.names(least, most)}

    def texts(self, key: str, *, least: int = 0, most: int) -> tuple[str, ...]:
        """Take out a list of texts."""
        values = self._list(key, least, most)
        for number, value in enumerate(values):
            self._check_text(f"{key}[{number}]", value, MOST_TEXT)
        return tuple(values)

    def named_texts(self, key: str, *, most: int) -> dict[str, str]:
        """Take out a mapping from any names to texts."""
        inner = self.mapping(key)
        return {name: inner.text(name) for name in inner.names(0, most)}

    def integer(
        self, key: str, default: int = _MISSING, *, least: int = 1, most: int = 1 << 31
    ) -> int:
        """Take out an integer."""
        allowed = f"an integer from {least} to {most}" if least < most else str(least)
        value = self._take(key, default, allowed)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(key, allowed, value)
        return value

    def number(
        self,
        key: str,
        default: float = _MISSING,
        *,
        least: float,
        most: float,
        from_text: bool = False,
    ) -> float:
        """Take out a number; with ``from_text`` also one in quotes."""
        allowed = f"a number from {least:g} to {most:g}"
        value = found = self._take(key, default, allowed)
        if from_text and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise self.wrong(key, allowed, found) from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, allowed, found)
        if not least <= value <= most:  # NaN too
            raise self.wrong(key, allowed, found)
        return float(value)

    def boolean(self, key: str, default: bool = _MISSING) -> bool:
        """Take out true or false."""
        value = self._take(key, default, "true or false")
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def text(
        self,
        key: str,
        default: str = _MISSING,
        *,
        least: int = 1,
        most: int = MOST_TEXT,
        pattern: str | None = None,
        allowed: str | None = None,
    ) -> str:
        """Take out a text of printable characters, line breaks and tabs.

        Args:
            key: name of the field.
            default: for a document without the field.
            least: characters.
            most: characters.
            pattern: regular expression for the whole text.
            allowed: the pattern in words.
        """
        value = self._take(key, default, allowed or "text")
        self._check_text(key, value, most, least)
        if pattern is not None and not re.fullmatch(pattern, value):
            raise self.wrong(key, allowed or pattern, value)
        return str(value)

    def free(self, key: str) -> Mapping[str, Any]:
        """Take out a mapping of any content that JSON can hold."""
        values = self.mapping(key).values
        self._check_free(key, values, 0)
        return values

    def names(self, least: int, most: int) -> list[str]:
        """Names of all fields of a mapping from any names."""
        if not least <= len(self.values) <= most:
            raise self.wrong("", f"a mapping of {least} to {most} fields", self.values)
        for name in self.values:
            self._check_text("", name, MOST_TEXT)
        return list(self.values)

    def refuse_others(self) -> None:
        """Refuse fields that were not asked for."""
        for key in self.others():
            self.refuse(key)

    def others(self) -> list[str]:
        """Names of the fields that were not asked for."""
        return [key for key in self.values if key not in self._taken]

    def refuse(self, key: str) -> None:
        """Refuse a field that is not known."""
        self._taken.add(key)
        raise self.error(
            f"{self.document}: {self.path(shown(key, bare=True))} is not known to this "
            "version of e2v; a newer one may read it"
        )

    def wrong(self, key: str, allowed: str, found: object) -> E2VError:
        """Make the exception for a field whose value cannot be used."""
        return self.error(
            f"{self.document}: {self.path(key)} should be {allowed}, found {shown(found)}"
        )

    def _take(self, key: str, default: Any, allowed: str) -> Any:
        self._taken.add(key)
        value = self.values.get(key)
        if value is not None:
            return value
        if default is _MISSING:
            raise self.error(
                f"{self.document}: {self.path(key)} is missing; it should be {allowed}"
            )
        return default

    def _list(self, key: str, least: int, most: int) -> list[Any]:
        allowed = f"a list of {least} to {most}"
        value = self._take(key, _MISSING, allowed)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise self.wrong(key, allowed, value)
        return value

    def _inner(self, value: object, key: str) -> Fields:
        return Fields(value, self.document, self.error, self.path(key))

    def _check_text(self, key: str, value: object, most: int, least: int = 1) -> None:
        if not isinstance(value, str):
            raise self.wrong(key, "text", value)
        if not least <= len(value) <= most:
            raise self.wrong(key, f"text of {least} to {most} characters", value)
        if _CONTROL.search(value):
            raise self.wrong(key, "text without control characters", value)

    def _check_free(self, key: str, value: object, depth: int) -> None:
        if depth > MOST_DEPTH:
            raise self.wrong(key, f"at most {MOST_DEPTH} levels deep", value)
        match value:
            case dict():
                for name, inner in value.items():
                    self._check_text(key, name, MOST_TEXT)
                    self._check_free(key, inner, depth + 1)
            case list():
                for inner in value:
                    self._check_free(key, inner, depth + 1)
            case str():
                self._check_text(key, value, 100 * MOST_TEXT, 0)
            case int() | None:
                pass
            case float() if math.isfinite(value):
                pass
            case _:
                raise self.wrong(key, "made of text, finite numbers, lists and mappings", value)

    def path(self, key: str) -> str:
        """Name of a field in the document, such as ``audio.hop``."""
        return ".".join(filter(None, (self.name, key))) or "the document"


def _whole(fields: Fields, read: Callable[[Fields], T]) -> T:
    value = read(fields)
    fields.refuse_others()
    return value


def shown(value: object, *, bare: bool = False) -> str:
    """A value from outside as short printable text, whatever it is.

    Args:
        value: anything that a parser returns.
        bare: leave out the quotes of a text.
    """
    try:
        text = _SHORT.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a number of very many digits"
    return text[1:-1] if bare and isinstance(value, str) else text


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100
_SHORT.maxlevel = 2

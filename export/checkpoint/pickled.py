"""Pickles read as data: nothing in them is imported, called, or hashed.

``torch.load`` runs a pickle, if a restricted one. It hashes keys, which takes forever for cleverly
nested tuples, and it reserves the memory that a file asks for. Weights need a small part of the
language: texts, numbers, containers and references to tensors. All else becomes :data:`OPAQUE`.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

MOST_BYTES = 1 << 20
"""Bytes of a pickle. That of a training checkpoint with a thousand tensors has 0.2 MB."""

OPAQUE = object()
"""Stands for every value that is not read."""

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_MAPPINGS = {"collections OrderedDict", "builtins dict"}


@dataclass(frozen=True)
class Global:
    """A class or function of a module, which was not imported."""

    name: str
    """Module and name with a space between."""


@dataclass(frozen=True)
class Call:
    """A call that was not made."""

    function: Global
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Reference:
    """An object outside the pickle, such as the storage of a tensor."""

    key: Any


@dataclass(frozen=True)
class Pickled:
    """The content of a pickle."""

    value: Any
    """Texts, numbers, bytes, lists, tuples, mappings with texts as keys (other keys are left out),
    :class:`Global`, :class:`Call`, :class:`Reference` and :data:`OPAQUE`."""
    references: tuple[Reference, ...]
    """All references, also those in opaque values."""


def read_pickle(file: IO[bytes]) -> Pickled:
    """Read one pickle; the file is then at its end.

    Raises:
        pickle.UnpicklingError: it is no pickle, is damaged, or is larger than :data:`MOST_BYTES`.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(_Bounded(file)):  # type: ignore[arg-type]
            if opcode.name == "STOP":
                return Pickled(machine.stack.pop(), tuple(machine.references))
            machine.step(opcode, argument)
    except (ValueError, LookupError, TypeError, OverflowError, struct.error) as error:
        raise pickle.UnpicklingError(str(error) or type(error).__name__) from None
    raise pickle.UnpicklingError("it has no end")


class _Bounded:
    """A file of which a limited part can be read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.left = MOST_BYTES

    def read(self, size: int) -> bytes:
        return self._taken(self.file.read(min(size, self.left + 1)))

    def readline(self) -> bytes:
        return self._taken(self.file.readline(self.left + 1))

    def _taken(self, content: bytes) -> bytes:
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"a pickle of more than {MOST_BYTES} bytes")
        return content


class _Machine:
    """The stack machine that a pickle is a program for, without its effects.

    Its methods raise ValueError, LookupError or TypeError if the pickle is damaged.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        """Lengths of the stack at each open mark."""
        self.memo: dict[int, Any] = {}
        self.references: list[Reference] = []

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Execute one instruction."""
        name = opcode.name
        if name == "MARK":
            self.marks.append(len(self.stack))
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _WITH_MARK:
            _WITH_MARK[name](self, self.pop_to_mark())
        elif name in _WITH_COUNT:
            count, action = _WITH_COUNT[name]
            action(self, self.pop(count))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            self.stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "GLOBAL":
            self.stack.append(Global(argument))
        else:
            self.other(opcode, argument)

    def other(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Push the constant of an instruction, or something opaque."""
        before = opcode.stack_before
        if not before and opcode.stack_after and not opcode.name.startswith(("PERSID", "EXT")):
            self.stack.append(argument)
            return
        if pickletools.markobject in before:
            self.pop_to_mark()
            before = before[: before.index(pickletools.markobject)]
        self.pop(len(before))
        self.stack += [OPAQUE] * len(opcode.stack_after)

    def pop(self, count: int) -> list[Any]:
        """Take the last values from the stack."""
        if len(self.stack) - (self.marks[-1] if self.marks else 0) < count:
            raise ValueError("the stack is empty")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def pop_to_mark(self) -> list[Any]:
        """Take the values since the last mark from the stack."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def push_tuple(self, values: list[Any]) -> None:
        """Push a tuple."""
        self.stack.append(tuple(values))

    def push_list(self, values: list[Any]) -> None:
        """Push a list."""
        self.stack.append(values)

    def push_dict(self, items: list[Any]) -> None:
        """Push a mapping of keys and values in turn."""
        self.stack.append({})
        self.set_items(items)

    def set_items(self, items: list[Any]) -> None:
        """Add keys and values, in turn, to the mapping on the stack; keys must be texts."""
        if isinstance(mapping := self.stack[-1], dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                if isinstance(key, str):
                    mapping[key] = value

    def extend(self, values: list[Any]) -> None:
        """Add values to the list on the stack."""
        if isinstance(sequence := self.stack[-1], list):
            sequence += values

    def push_global(self, names: list[Any]) -> None:
        """Push the class or function of a module."""
        self.stack.append(Global(" ".join(names)))

    def push_call(self, values: list[Any]) -> None:
        """Push the call of a function with a tuple of arguments."""
        function, arguments = values
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            self.stack.append(OPAQUE)
        elif function.name in _MAPPINGS:
            self.stack.append({})
        else:
            self.stack.append(Call(function, arguments))

    def push_reference(self, values: list[Any]) -> None:
        """Push a reference to an object outside the pickle."""
        self.references.append(Reference(values[0]))
        self.stack.append(self.references[-1])

    def drop(self, _values: list[Any]) -> None:
        """Leave out the state of an object whose class is not known."""


_Action: TypeAlias = Callable[[_Machine, "list[Any]"], None]

_WITH_MARK: dict[str, _Action] = {
    "TUPLE": _Machine.push_tuple,
    "LIST": _Machine.push_list,
    "DICT": _Machine.push_dict,
    "SETITEMS": _Machine.set_items,
    "APPENDS": _Machine.extend,
}
"""Actions on the values since the last mark."""

_WITH_COUNT: dict[str, tuple[int, _Action]] = {
    "TUPLE1": (1, _Machine.push_tuple),
    "TUPLE2": (2, _Machine.push_tuple),
    "TUPLE3": (3, _Machine.push_tuple),
    "SETITEM": (2, _Machine.set_items),
    "APPEND": (1, _Machine.extend),
    "STACK_GLOBAL": (2, _Machine.push_global),
    "REDUCE": (2, _Machine.push_call),
    "BUILD": (1, _Machine.drop),
    "BINPERSID": (1, _Machine.push_reference),
}
"""Actions on so many values from the end of the stack."""

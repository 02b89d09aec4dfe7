"""The tree in the docstring of errors.py is the tree of the code."""

import re

import pytest

from emotion2vec_edge.engine import errors


def drawn_tree():
    """(class, parent, exit code or None) of each line of the drawing."""
    stack = {}
    for line in errors.__doc__.splitlines():
        match = re.match(r"^    ([ │├└─]*)(\w+Error)(?: \(\w+\))?(?:\s+(\d)?\s*.*)?$", line)
        if match:
            depth = len(match[1]) // 4
            stack[depth] = match[2]
            yield match[2], stack.get(depth - 1), match[3]


def test_the_drawing_is_complete():
    classes = {name for name in vars(errors) if name.endswith("Error")}
    assert {name for name, _, _ in drawn_tree()} == classes


@pytest.mark.parametrize(("name", "parent", "code"), list(drawn_tree()))
def test_the_drawing_is_true(name, parent, code):
    cls = getattr(errors, name)
    assert parent is None or getattr(errors, parent) in cls.__bases__
    if code is not None:
        assert cls.exit_code == int(code)


def test_errors_are_also_the_builtins_that_users_catch():
    assert issubclass(errors.AudioNotFoundError, FileNotFoundError)
    assert issubclass(errors.BundleNotFoundError, FileNotFoundError)
    assert issubclass(errors.OptionError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)

"""Pickles read as data."""

import argparse
import collections
import io
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.export.checkpoint.pickled import Call, Global, read_pickle


def value(content):
    return read_pickle(io.BytesIO(content)).value


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_what_pickle_says(content, protocol):
    assert value(pickle.dumps(content, protocol)) == content


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_is_not_plain_is_left_out(protocol):
    content = {"a": collections.OrderedDict(b=1), 5: 6, (7,): 8, "args": argparse.Namespace(x=1)}
    found = value(pickle.dumps(content, protocol))
    assert found["a"] == {"b": 1}
    assert found.keys() == {"a", "args"}


def test_nothing_is_imported_or_called(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "proof"), "w"))

    call = value(pickle.dumps(Payload(), 4))
    assert call == Call(Global(f"{open.__module__} open"), (str(tmp_path / "proof"), "w"))
    assert value(b"c__main__\nno_such_thing\n.") == Global("__main__ no_such_thing")
    assert list(tmp_path.iterdir()) == []


def test_references_are_collected():
    class Pickler(pickle.Pickler):
        def persistent_id(self, content):
            return ("storage", 5) if isinstance(content, bytes) else None

    file = io.BytesIO()
    Pickler(file, 2).dump([b"x", {3: b"y"}])
    file.seek(0)
    found = read_pickle(file)
    assert found.value == [found.references[0], {}]
    assert [reference.key[0] for reference in found.references] == ["storage", "storage"]


def test_keys_that_take_for_ever_to_hash():
    """A tuple of 2⁶⁰ elements in 60 lines, as the key of a mapping."""
    nested = b"(t" + b"".join(b"q\x00h\x00\x86" for _ in range(60))
    assert value(b"\x80\x02}" + nested + b"K\x01s.") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x80\x02]",
        b"\x80\x02s.",
        b"\x80\x02h\x05.",
        b"\x80\x02e.",
        b"\x80\x02}(U\x01au.",
        b"L" + b"9" * 9_000 + b"L\n.",
        b"\x80\x02B\xff\xff\xff\x7fx.",
        b"\x80\x02" + b"]" * (1 << 20) + b".",
    ],
)
def test_damaged_pickles(content):
    with pytest.raises(pickle.UnpicklingError, match=r"\S"):
        value(content)

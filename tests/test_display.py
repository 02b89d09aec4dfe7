"""Sizes, durations and bars as people read them."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.display import duration, redacted, share_bar, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.025, "0.03 s"), (7.1, "7.10 s"), (9.999, "10.0 s"), (71.24, "71.2 s"), (3605, "3605 s")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_sizes():
    assert size(9_437_184) == "9.0 MiB"
    assert size(0) == "0.0 MiB"


def written(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def test_a_bar_is_of_characters_that_can_be_written():
    assert share_bar(0.5, 30, io.StringIO()) == "█" * 15
    assert share_bar(1.0, 3, written("utf-8")) == "███"
    assert share_bar(1.0, 3, written("cp437")) == "███"
    assert share_bar(1.0, 3, written("ascii")) == "###"
    assert share_bar(1.0, 3, written("latin-1")) == "###"
    assert share_bar(0.0, 30, written("ascii")) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://camera:554", "rtsp://camera:554"),
        ("rtsp://user:secret@camera", "rtsp://…@camera/…"),
        ("http://host/live?token=secret", "http://host/…"),
        ("https://hooks.example/services/secret", "https://hooks.example/…"),
        ("cannot open 'http://u:secret@h:1/x' now", "cannot open 'http://…@h:1/…' now"),
        ("mqtts://u:secret@[::1]:8883/topic", "mqtts://…@[::1]:8883/…"),
        ("rtsp://user:se@cret/s@camera:554/x", "rtsp://…"),
        ("rtsp://user:se?cret@camera/x", "rtsp://…"),
        ("rtsp://user:secret", "rtsp://…"),
        ("a.wav", "a.wav"),
    ],
)
def test_addresses_show_no_secret(text, shown):
    assert redacted(text) == shown
    assert "cret" not in redacted(text)


@given(
    scheme=st.sampled_from(["rtsp", "https", "mqtts", "x+y"]),
    before=st.text("ab:/?#@%;=&", max_size=6),
    after=st.text("ab:/?#@%;=&", max_size=6),
    rest=st.text("ab:/?#@%;=&", max_size=6),
)
def test_no_password_is_shown_wherever_it_is(scheme, before, after, rest):
    for address in (
        f"{scheme}://user:{before}S3CRET{after}@host:554/{rest}",
        f"{scheme}://{before}S3CRET@host/{rest}",
        f"{scheme}://host/{before}S3CRET{after}",
        f"{scheme}://host?{before}S3CRET{after}",
    ):
        assert "S3CRET" not in redacted(f"cannot open {address} now"), address

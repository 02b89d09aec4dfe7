"""Objects in stores, with fsspec's store in memory."""

import sys

import pytest

from emotion2vec_edge.engine import Recognizer, load_audio, objects
from emotion2vec_edge.engine.errors import AudioNotFoundError, MissingExtraError

fsspec = pytest.importorskip("fsspec", reason="SKIPPED LOUDLY: pip install fsspec")


@pytest.fixture
def store():
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    "text", ["call.wav", "rtsp://box/1", "https://a/b.wav", "s3:/b", b"s3://b", None]
)
def test_what_is_no_url_of_a_store_is_a_path(text):
    assert not objects.is_url(text)


def test_a_recording_is_read_by_its_url(store, example, recognizer):
    store.pipe("/calls/one.flac", example.read_bytes())
    assert load_audio("memory://calls/one.flac").name == "memory://calls/one.flac"
    found = recognizer.recognize("memory://calls/one.flac")
    assert found.scores == recognizer.recognize(example).scores
    assert load_audio(f"file://{example}").seconds == load_audio(example).seconds


def test_objects_are_copied_in_blocks(store, monkeypatch):
    store.pipe("/a", bytes(range(250)))
    monkeypatch.setattr(objects, "BLOCK_BYTES", 100)
    asked = []
    monkeypatch.setattr(
        type(store), "cat_file",
        lambda self, path, start=None, end=None, **_: asked.append((start, end)) or self.store[path].getvalue()[start:end],
    )  # fmt: skip
    with objects.fetch("memory://a") as file:
        assert file.readall() == bytes(range(250))
    assert asked == [(0, 100), (100, 200), (200, 250)]


def test_failing_requests_are_made_again(store, monkeypatch):
    store.pipe("/a", b"content")
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.0)
    calm, failures = type(store).cat_file, iter([RuntimeError("busy")] * (objects.ATTEMPTS - 1))

    def flaky(self, *args, **options):
        for failure in failures:
            raise failure
        return calm(self, *args, **options)

    monkeypatch.setattr(type(store), "cat_file", flaky)
    with objects.fetch("memory://a") as file:
        assert file.readall() == b"content"
    failures = iter([RuntimeError("busy")] * objects.ATTEMPTS)
    with pytest.raises(OSError, match="does not answer: busy"):
        objects.fetch("memory://a")


def test_what_is_missing_is_asked_for_once_and_named(store, monkeypatch):
    monkeypatch.setattr(objects, "FIRST_WAIT", 60.0)
    with pytest.raises(AudioNotFoundError, match=r"memory://nothing\.wav: there is no such object"):
        load_audio("memory://nothing.wav")


def test_missing_credentials_are_told_at_once(store, monkeypatch):
    class NoCredentialsError(Exception):
        pass

    def refuse(*_args, **_options):
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr(objects, "FIRST_WAIT", 60.0)
    monkeypatch.setattr(type(store), "info", refuse)
    with pytest.raises(AudioNotFoundError, match="no credentials for this store"):
        load_audio("memory://a.wav")


def test_an_object_that_changes_while_it_is_read_is_an_error(store, monkeypatch):
    store.pipe("/a", b"content")
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(type(store), "cat_file", lambda *_args, **_options: b"con")
    with pytest.raises(OSError, match="3 bytes came instead of 7"):
        objects.fetch("memory://a")


def test_a_client_that_is_not_installed_is_named(monkeypatch):
    with pytest.raises(MissingExtraError, match=r"emotion2vec-edge\[cloud\].*gcsfs"):
        objects.check_client("gs://bucket/a.wav")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"emotion2vec-edge\[cloud\]"):
        Recognizer.load(precision="fp32").recognize("s3://bucket/a.wav")


def test_prefixes_patterns_and_states(store):
    for name in ("/b/x/1.wav", "/b/x/y/2.wav", "/b/z.txt"):
        store.pipe(name, name.encode())
    assert objects.find("memory://b/x") == ["memory://b/x/1.wav", "memory://b/x/y/2.wav"]
    assert objects.find("memory://b/*.txt") == ["memory://b/z.txt"]
    assert objects.is_prefix("memory://b/x")
    assert not objects.is_prefix("memory://b/z.txt")
    state = objects.object_state("memory://b/z.txt")
    assert state.bytes == 8
    assert state.mtime_ns > 1_600_000_000_000_000_000

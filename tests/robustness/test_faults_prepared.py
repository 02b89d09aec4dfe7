"""A cache that fails at each operation of a preparation: nothing half-made is ever taken."""

import contextlib

import pytest
from faults import Faults, Killed, count

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.errors import OutputError
from emotion2vec_edge.engine.recognizer import opening_of

FILES = {"encoder.engine": b"the encoder", "encoder.data": bytes(1000), "encoder.timing": b"times"}


def write(folder):
    for name, content in FILES.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """That of the embedded model on the processor, in a cache of its own."""
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    opening = opening_of(Recognizer.load())
    return opening.provider.entry(opening.selected, opening.config)


def check(entry):
    """The files are whole or not found; the next preparation makes them and clears up."""
    found = entry.find()
    entry.make(write)
    content = entry.find()
    assert {path.name: path.read_bytes() for path in content.iterdir()} == FILES
    if found is None:
        names = {path.name for path in entry.folder.iterdir()}
        assert names == {content.name, "ready.json"}
    else:
        assert found == content


@pytest.mark.parametrize("resume", [False, True], ids=["from nothing", "continued"])
@pytest.mark.parametrize("before", ["nothing", "another folder"])
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "EACCES", "EROFS", "short", "kill"])
def test_a_fault_at_any_operation(entry, tmp_path, fault, before, resume):
    cache = tmp_path / "cache"

    def begin():
        """The cache before the preparation that is disturbed."""
        entry.make(write)
        if before == "nothing":
            for path in [*entry.find().iterdir(), entry.folder / "ready.json"]:
                path.unlink()
        else:
            (entry.find() / "encoder.data").write_bytes(b"damaged")
        assert entry.find() is None

    begin()
    operations = count(cache, lambda: entry.make(write, resume=resume))
    kinds = {operation.split()[0] for operation in operations}
    assert kinds >= {"mkdir", "open", "write", "replace", "unlink"}
    for at in range(len(operations)):
        begin()
        with Faults(cache, fault, at) as faults, contextlib.suppress(OutputError, Killed):
            entry.make(write, resume=resume)
        assert faults.happened, operations[at]
        check(entry)

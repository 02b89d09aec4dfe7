"""The logs of a batch."""

import json

import pytest

from emotion2vec_edge.engine.batch.output import log as log_room
from emotion2vec_edge.engine.batch.output.log import Log
from emotion2vec_edge.engine.batch.rows import FailureRow
from emotion2vec_edge.engine.errors import OutputError


def failed(file, message="broken"):
    return FailureRow(file, "AudioError", message, 3)


def line(file, message="broken"):
    return json.dumps(failed(file, message).to_dict()).encode() + b"\n"


@pytest.fixture
def log_path(tmp_path):
    (tmp_path / ".work").mkdir()
    return tmp_path / "log.jsonl"


def open_log(path):
    return Log(path, FailureRow.from_dict)


def test_a_torn_last_line_is_cut_off(log_path):
    log_path.write_bytes(line("a") + b"rubbish\n" + line("b")[:-9])
    log = open_log(log_path)
    log.append(failed("c"))
    log.append(failed("a", "again"))
    assert list(log.rows()) == [failed("a", "again"), failed("c")]
    assert log_path.read_bytes() == line("a") + b"rubbish\n" + line("c") + line("a", "again")
    log.close()


def test_sorting_keeps_the_last_row_of_each_file(log_path):
    log_path.write_bytes(line("b") + line("a", "first") + line("c") + line("a", "last"))
    log = open_log(log_path)
    assert len(log) == 3
    log.sort(drop=frozenset("c"))
    assert log_path.read_bytes() == line("a", "last") + line("b")
    log.append(failed("0"))
    assert [row.file for row in log.rows()] == ["0", "a", "b"]
    log.sort()
    assert log_path.read_bytes() == line("0") + line("a", "last") + line("b")
    log.close()


FOREIGN = {
    "another row": b'{"file": "x.wav"}\n',
    "a number": b'{"file": 5}\n',
    "no object": b"[1, 2]\n",
    "no JSON": b"hello\n",
    "an empty line": b"\n",
    "bytes": b"\xff\xfe\0\n",
    "deep": b"[" * 100_000 + b"\n",
    "a long number": b'{"file": ' + b"9" * 5_000 + b"}\n",
    "NaN": line("x.wav").replace(b": 3", b": NaN"),
    "a huge exit code": line("x.wav").replace(b": 3", b": 1e400"),
    "a lone surrogate": line("\ud800"),
    "longer than any row": line("x" * (1 << 21)),
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_lines_are_moved_and_kept(log_path, foreign, monkeypatch):
    monkeypatch.setattr(log_room, "MOST_LINE_BYTES", 1 << 20)
    monkeypatch.setattr(log_room, "PIECE_BYTES", 100_000)
    log_path.write_bytes(line("b") + foreign + line("a") + foreign)
    log = open_log(log_path)
    assert log.foreign_lines == 2
    assert [row.file for row in log.rows()] == ["a", "b"]
    log.sort()
    assert log.foreign_lines == 0
    log.close()
    assert log_path.read_bytes() == line("a") + line("b")
    assert log.foreign_path.read_bytes() == foreign * 2
    with log_path.open("ab") as file:  # another day, another line
        file.write(b"more\n")
    log = open_log(log_path)
    log.sort()
    log.close()
    assert log.foreign_path.read_bytes() == foreign * 2 + b"more\n"


def test_foreign_lines_are_kept_once_by_a_run_that_is_killed(log_path, monkeypatch):
    """Between the two files that change, the lines are in both."""
    log_path.write_bytes(line("a") + b"foreign\n")
    write_file = log_room.write_file

    def until_the_log(path, content, **options):
        if path == log_path:
            raise OutputError("killed")
        write_file(path, content, **options)

    monkeypatch.setattr(log_room, "write_file", until_the_log)
    log = open_log(log_path)
    with pytest.raises(OutputError, match="killed"):
        log.sort()
    log.close()
    monkeypatch.undo()
    assert log_path.read_bytes() == line("a") + b"foreign\n"
    log = open_log(log_path)
    log.sort()
    log.close()
    assert log_path.read_bytes() == line("a")
    assert log.foreign_path.read_bytes() == b"foreign\n"

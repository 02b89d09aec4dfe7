"""A bundle whose disk fails, or whose process dies, while it gets a variant."""

import contextlib
import shutil

import pytest
from faults import Faults, Killed, count
from folders import snapshot
from quantized import add, check_nothing_else, check_whole, fp32_alone, int8_variants

from emotion2vec_edge.engine.errors import OutputError


@pytest.fixture(scope="module")
def fp32(tmp_path_factory):
    return fp32_alone(tmp_path_factory.mktemp("bundle") / "model")


@pytest.fixture(scope="module")
def variants():
    return int8_variants()


@pytest.mark.parametrize("present", [None, "first"])
def test_killed_at_any_operation(fp32, variants, tmp_path, present):
    """Before each of them, and in the middle of each write: the old bundle or the new one."""
    start = tmp_path / "start"
    shutil.copytree(fp32, start)
    if present:
        add(start, variants[0])
    calm = tmp_path / "calm"
    shutil.copytree(start, calm)
    operations = count(calm, lambda: add(calm, variants[1]))
    assert any(operation == "replace bundle.json" for operation in operations)
    for at in range(len(operations)):
        folder = tmp_path / str(at)
        shutil.copytree(start, folder)
        with Faults(folder, "kill", at) as faults, contextlib.suppress(Killed):
            add(folder, variants[1])
        assert faults.happened
        check_whole(folder, (present, "second"))
        add(folder, variants[1])
        check_whole(folder, ("second",))
        check_nothing_else(folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "EACCES"])
def test_an_error_at_any_operation(fp32, variants, tmp_path, fault):
    """An error leaves the bundle as it was, or comes when the new one is in place."""
    start = tmp_path / "start"
    shutil.copytree(fp32, start)
    add(start, variants[0])
    before = snapshot(start)
    calm = tmp_path / "calm"
    shutil.copytree(start, calm)
    outcomes = set()
    for at in range(len(count(calm, lambda: add(calm, variants[1])))):
        folder = tmp_path / str(at)
        shutil.copytree(start, folder)
        with Faults(folder, fault, at) as faults:
            try:
                add(folder, variants[1])
                outcome = "second"
            except OutputError as error:
                outcome = "first"
                assert str(folder) in str(error)
        assert faults.happened
        outcomes.add(outcome)
        check_whole(folder, (outcome,))
        if outcome == "first":
            left = snapshot(folder)
            assert {path: left[path] for path in before} == before
        add(folder, variants[1])
        check_nothing_else(folder)
        shutil.rmtree(folder)
    assert outcomes == {"first", "second"}

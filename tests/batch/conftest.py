"""Fixtures of the tests of batches."""

import pytest
from batches import make_calls


@pytest.fixture(scope="session")
def calls(tmp_path_factory):
    """A folder of eight short recordings, and a file that is none."""
    return make_calls(tmp_path_factory.mktemp("in") / "calls")

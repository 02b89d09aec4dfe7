"""Checks of an output before anything is computed for it."""

import pytest

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_folder
from emotion2vec_edge.export.output import check_output


def test_an_output_that_is_free(tmp_path):
    check_output(tmp_path / "new", "marker", overwrite=False)
    (tmp_path / "empty").mkdir()
    check_output(tmp_path / "empty", "marker", overwrite=False)
    with atomic_folder(tmp_path / "empty", "marker") as folder:
        (folder / "marker").touch()
    check_output(tmp_path / "empty", "marker", overwrite=True)


@pytest.mark.parametrize(
    ("marker", "overwrite", "message"),
    [
        ("marker", False, "exists already"),
        ("marker", True, "holds no marker; it will not be overwritten"),
        (None, True, "is not a file; it will not be overwritten"),
    ],
)
def test_an_output_that_is_something_else(tmp_path, marker, overwrite, message):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OptionError, match=message):
        check_output(tmp_path, marker, overwrite=overwrite)

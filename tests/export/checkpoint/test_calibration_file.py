"""``calibration.json``."""

import pytest

from emotion2vec_edge.engine.bundle.manifest import Calibration
from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.export.checkpoint.calibration import (
    CALIBRATION,
    read_calibration,
    write_calibration,
)

MEASURED = Calibration(temperature=1.25, fitted_on="speech", ece_before=0.1, ece=0.05)


@pytest.mark.parametrize("calibration", [MEASURED, None])
@pytest.mark.parametrize("licence", ["CC0", None])
def test_what_is_written_is_read(tmp_path, calibration, licence):
    write_calibration(tmp_path, calibration, licence)
    assert read_calibration(tmp_path) == (calibration, licence)


def test_without_a_file_nothing_is_known(tmp_path):
    assert read_calibration(tmp_path) == (None, None)


def test_a_field_that_is_not_known(tmp_path):
    (tmp_path / CALIBRATION).write_text('{"licence": "CC0", "ece": 0.1}')
    with pytest.raises(CheckpointError, match="ece"):
        read_calibration(tmp_path)

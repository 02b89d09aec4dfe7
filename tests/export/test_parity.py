"""The parity check."""

import numpy as np
import onnx
import pytest

from emotion2vec_edge.engine.errors import ParityError
from emotion2vec_edge.export import exporter, parity
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle


@pytest.mark.usefixtures("traced")
def test_a_graph_that_differs_is_not_written(checkpoint, tmp_path, monkeypatch):
    """The gate sees one weight in seven of one matrix off by 1 %."""
    original = exporter.export_graphs

    def spoiled(model, folder, labels, audio):
        original(model, folder, labels, audio)
        path = folder / "encoder.onnx"
        model = onnx.load(path)
        largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        values = onnx.numpy_helper.to_array(largest).copy()
        values.flat[::7] *= np.float32(1.01)
        largest.CopyFrom(onnx.numpy_helper.from_array(values, largest.name))
        onnx.save(model, path)

    monkeypatch.setattr(exporter, "export_graphs", spoiled)
    with pytest.raises(ParityError, match="nothing was written"):
        export_bundle(checkpoint, ExportSettings(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_nan_does_not_pass_the_gate(checkpoint, monkeypatch):
    model = exporter.load_checkpoint(checkpoint.folder).model

    def run(clips):
        return [[np.full((1 + (len(c) - 400) // 320, 32), np.nan, np.float32)] * 2 for c in clips]

    monkeypatch.setattr(parity, "_torch_alone", lambda _, clip: run([clip])[0])
    with pytest.raises(ParityError):
        parity._checked(model, run, lambda *_: None)

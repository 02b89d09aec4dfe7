"""The parity check."""

import numpy as np
import onnx
import pytest
from checkpoints import write_checkpoint

from emotion2vec_edge.engine.errors import ParityError
from emotion2vec_edge.export import exporter, parity
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle


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


@pytest.fixture(scope="module")
def amplifying(tmp_path_factory):
    """A model whose attention is so sharp that rounding moves its frames by 1e-4 and more."""
    folder = tmp_path_factory.mktemp("sharp")

    def sharpened(weights):
        sharp = {name: t * (12 if "attn.qkv.weight" in name else 1) for name, t in weights.items()}
        return {"model": sharp}

    write_checkpoint(folder, wrap=sharpened)
    return exporter.load_checkpoint(folder).model


def compared(model, change):
    """The comparison of a model with its own outputs after a change of the frames."""

    def run(clips):
        outputs = [parity._torch_alone(model, clip) for clip in clips]
        return [[frames + np.float32(change), *rest] for frames, *rest in outputs]

    return parity._checked(model, run, lambda *_: None)


def test_rounding_that_the_weights_amplify_is_no_difference(amplifying):
    allowed = parity._with_rounding(amplifying, parity.Parity(0.0, 0.0, ()))
    assert 3e-4 < allowed.frames_limit <= parity.FRAMES_CAP
    assert compared(amplifying, 0.5 * allowed.frames_limit).passes()
    with pytest.raises(ParityError, match="frames by"):
        compared(amplifying, 2 * allowed.frames_limit)


def test_other_weights_get_no_wider_limits(checkpoint):
    model = exporter.load_checkpoint(checkpoint.folder).model
    with pytest.raises(ParityError, match=r"frames by .* \(limit 1e-04\)"):
        compared(model, 2e-4)

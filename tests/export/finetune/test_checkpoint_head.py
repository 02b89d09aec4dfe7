"""A checkpoint with a new head."""

import json

import torch
from checkpoints import FEW_CONVOLUTIONS, document, write_checkpoint
from commands import e2v

from emotion2vec_edge.engine.bundle.manifest import Calibration
from emotion2vec_edge.export.checkpoint.calibration import write_calibration
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle
from emotion2vec_edge.export.hub import resolve


def test_a_checkpoint_gets_a_head_and_becomes_a_bundle(corpus, tmp_path):
    doc = document(feature_encoder_spec=FEW_CONVOLUTIONS, depth=1, conv_pos_depth=1)
    write_checkpoint(tmp_path / "model", doc)
    done = e2v("finetune", tmp_path / "model", "--head", "--data", corpus, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    before, after = load_checkpoint(tmp_path / "model"), load_checkpoint(tmp_path / "out")
    assert [label.display for label in after.labels] == ["生气", "开心", "sad"]
    for name, value in before.model.state_dict().items():
        if "head" not in name:
            torch.testing.assert_close(after.model.state_dict()[name], value)
    assert json.loads((tmp_path / "out" / "calibration.json").read_text()) == {}  # of 36 clips
    write_calibration(tmp_path / "out", Calibration(1.25))
    source = resolve(str(tmp_path / "out"), offline=True)
    manifest = export_bundle(source, ExportSettings(tmp_path / "bundle"))
    assert manifest.calibration == Calibration(1.25)
    assert "new emotion head" in (tmp_path / "bundle" / "README.md").read_text()

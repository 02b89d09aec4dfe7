"""A bundle with a new head, without torch."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest
from commands import e2v

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle.manifest import encoder_id
from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import BundleTamperedError, OptionError
from emotion2vec_edge.export.finetune import bundle_head, fitting


def test_a_bundle_gets_a_head_without_torch(corpus, tmp_path):
    out = tmp_path / "mine"
    code = (
        "import sys; from emotion2vec_edge.engine.cli import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'onnx'} & set(sys.modules)"
    )
    arguments = ["finetune", "emotion2vec_small", "--head", "--data", corpus, "-o", out]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"UA before" in done.stdout
    assert done.stderr == b""
    bundle = open_bundle(out)
    assert [label.id for label in bundle.manifest.labels] == ["angry", "happy", "sad"]
    assert bundle.manifest.calibration is None
    assert (
        b"not calibrated: a temperature needs 100 held-out clips, and there were 36" in done.stdout
    )
    assert bundle.manifest.source.head["clips"] == 36
    assert bundle.manifest.source.licence in (out / "README.md").read_text()
    clips = read_corpus(corpus, "train")
    for precision in ("fp32", "int8"):
        recognizer = Recognizer.load(out, precision=precision)
        found = [recognizer.recognize(clip.path) for clip in clips]
        assert np.mean([u.emotion == c.label for u, c in zip(found, clips, strict=True)]) > 0.8
        assert not any(u.calibrated for u in found)
    again = e2v(*arguments)
    assert (again.returncode, b"exists already" in again.stderr) == (2, True)
    assert e2v(*arguments, "--overwrite").returncode == 0


def test_kept_embeddings_stand_for_recordings_that_are_gone(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "LEAST_CALIBRATION_CLIPS", 36)
    recognizer = Recognizer.load(precision="fp32")
    encoder = encoder_id(recognizer.bundle.manifest)
    clips = [
        dataclasses.replace(
            clip,
            path=tmp_path / "gone" / clip.path.name,
            encoder=encoder,
            embedding=recognizer.encode(clip.path).embedding().tobytes(),
        )
        for clip in read_corpus(corpus, "train")
    ]
    _, fitted = bundle_head.finetune_bundle("emotion2vec_small", clips, tmp_path / "out")
    _, expected = bundle_head.finetune_bundle(
        "emotion2vec_small", read_corpus(corpus, "train"), tmp_path / "expected"
    )
    np.testing.assert_allclose(fitted.weight, expected.weight, atol=1e-4)
    calibration = open_bundle(tmp_path / "expected").manifest.calibration
    assert calibration.temperature > 0
    assert "36 clips" in calibration.fitted_on
    other = [dataclasses.replace(clip, encoder="another") for clip in clips]
    with pytest.raises(OptionError, match=r"gone.*0_angry_0\.wav"):
        bundle_head.finetune_bundle("emotion2vec_small", other, tmp_path / "none")


def linked_bundle(folder, *, broken):
    """The embedded model whose INT8 encoder, which is not run, is a link to a secret."""
    shutil.copytree(open_bundle("emotion2vec_small").folder, folder)
    secret = folder.parent / "secret"
    graph = folder / "int8" / "encoder.onnx"
    if broken:
        secret.write_bytes(b"x" * graph.stat().st_size)
    else:
        graph.replace(secret)
    graph.unlink(missing_ok=True)
    graph.symlink_to(secret)
    return folder


@pytest.mark.parametrize("broken", [True, False])
def test_a_linked_file_is_not_copied(corpus, tmp_path, broken):
    """Before anything is computed, also if the file behind the link has the right checksum."""
    folder = linked_bundle(tmp_path / "bundle", broken=broken)
    told = []
    with pytest.raises(BundleTamperedError, match=r"int8/encoder\.onnx"):
        bundle_head.finetune_bundle(
            str(folder), read_corpus(corpus, "train"), tmp_path / "out",
            progress=lambda *step: told.append(step),
        )  # fmt: skip
    assert not told
    assert not (tmp_path / "out").exists()


def test_a_variant_that_differs_is_not_copied(corpus, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(open_bundle("emotion2vec_small").folder, folder)
    (folder / "int8" / "frontend.onnx").write_bytes(b"another")
    with pytest.raises(BundleTamperedError, match=r"int8/frontend\.onnx"):
        bundle_head.finetune_bundle(str(folder), read_corpus(corpus, "train"), tmp_path / "out")

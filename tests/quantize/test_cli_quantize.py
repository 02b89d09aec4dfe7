"""`e2v quantize`."""

from commands import e2v


def test_quantize_refuses_from_the_command_line(tmp_path):
    import shutil

    from emotion2vec_edge.engine import open_bundle

    folder = tmp_path / "model"
    shutil.copytree(open_bundle("emotion2vec_small").folder, folder)
    done = e2v("quantize", folder, "--precision", "int8", "--agreement", "1.01")
    assert done.returncode == 4
    assert b"(limit 1.01)" in done.stderr
    assert b"is as it was" in done.stderr
    done = e2v("quantize", folder, "--precision", "int4")
    assert done.returncode == 2
    done = e2v("quantize", folder, "--precision", "int8", "--calibration", tmp_path / "gone")
    assert done.returncode == 2
    assert b"no such manifest" in done.stderr
    done = e2v("quantize", tmp_path, "--precision", "int8")
    assert done.returncode == 4

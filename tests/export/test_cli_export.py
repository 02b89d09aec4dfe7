"""`e2v export`."""

from commands import before_path, e2v, reports


def test_export_without_torch_says_what_to_install(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    done = e2v("export", tmp_path, "-o", tmp_path / "out", PYTHONPATH=before_path(tmp_path))
    assert done.returncode == 2
    assert b"pip install 'emotion2vec-edge[cpu,export]'" in done.stderr


def test_export_from_the_command_line(small_export):
    stdout = (small_export / "stdout").read_text()
    assert "int8, " in stdout
    assert "fp16, " in stdout
    assert "differs from torch by at most" in stdout
    assert "parity: 592000 samples" in (small_export / "stderr").read_text()
    done = e2v("recognize", "--examples", "--model", small_export / "small", "--format", "jsonl")
    assert sorted(p.name for p in (small_export / "small").iterdir()) == [
        "bundle.json", "fp16", "fp32", "int8",
    ]  # fmt: skip
    assert len(reports(done)) == 3


def test_export_of_nothing(tmp_path):
    done = e2v("export", tmp_path / "gone", "-o", tmp_path / "out")
    assert done.returncode == 4
    assert b"no such folder" in done.stderr

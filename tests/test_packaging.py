"""What is installed where: the engine's few dependencies have wheels for Linux aarch64."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def requirements():
    if sys.version_info < (3, 11):
        pytest.skip("SKIPPED LOUDLY: reading pyproject.toml needs Python 3.11")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras["cpu"], *extras["finetune"]]


def test_every_dependency_of_the_box_has_a_wheel_for_aarch64(tmp_path):
    """JetPack 6: Python 3.10, glibc 2.35; asked of the package index, nothing is installed."""
    report = tmp_path / "report.json"
    platforms = [argument for name in GLIBC for argument in ("--platform", f"{name}_aarch64")]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", str(report),
         *platforms, "--python-version", "3.10", "--only-binary=:all:",
         "--target", str(tmp_path / "none"), *requirements()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Connection" in done.stderr or "resolution" in done.stderr.lower().split("error:")[0]:
        pytest.skip(f"SKIPPED LOUDLY: no package index could be asked: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())["install"]
    files = [item["download_info"]["url"].rsplit("/", 1)[-1] for item in found]
    assert any(name.startswith("onnxruntime-") for name in files)
    assert all(name.endswith(("_aarch64.whl", "-any.whl")) for name in files)

"""The wheel: its files, its requirements on Linux aarch64 and its answers on Python 3.10."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("benchmarks", "engine", "export", "quantize")
NOT_INSTALLED = ROOT / "benchmarks" / "results"
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def tree():
    """Every file of the four folders that the project keeps, relative to the root."""
    return {
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and NOT_INSTALLED not in path.parents
        and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this tree, built in a copy, so that the tree stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, source)
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_four_folders_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    installed = {name for name in names if not name.parts[0].endswith(".dist-info")}
    assert installed == {Path("emotion2vec_edge") / path for path in tree()}
    suffixes = {path.suffix for path in installed}
    assert {".py", ".typed", ".onnx", ".json", ".flac", ".md"} <= suffixes
    licences = [name.parts[2:] for name in names if "licenses" in name.parts]
    assert licences == [("LICENSE",), ("engine", "models", "LICENSE")]


@pytest.fixture(scope="module")
def python310(tmp_path_factory):
    """A Python 3.10 in an environment of its own."""
    if sys.version_info[:2] == (3, 10):
        found = sys.executable
    else:
        kept = sorted((Path.home() / ".pyenv" / "versions").glob("3.10.*/bin/python3.10"))
        found = kept[-1] if kept else shutil.which("python3.10")
    if found is None:
        pytest.skip("SKIPPED LOUDLY: there is no python3.10")
    folder = tmp_path_factory.mktemp("python310")
    subprocess.run([found, "-m", "venv", folder], check=True, capture_output=True)
    return folder / "bin" / "python"


@pytest.mark.slow
def test_python_310_gets_the_last_onnxruntime_made_for_it(wheel, python310, tmp_path):
    """JetPack 6 has Python 3.10, for which ONNX Runtime 1.24 and later have no wheels."""
    done = subprocess.run(
        [python310, "-m", "pip", "install", "-q", f"emotion2vec-edge[cpu] @ {wheel.as_uri()}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if no_index(done.stderr):
        pytest.skip(f"SKIPPED LOUDLY: no package index could be asked: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr

    def printed_by(*command):
        return subprocess.run(
            command, cwd=tmp_path, env={"E2V_CACHE": str(tmp_path)}, capture_output=True, text=True,
            check=True,
        ).stdout  # fmt: skip

    version = printed_by(python310, "-c", "import onnxruntime; print(onnxruntime.__version__)")
    assert version.startswith("1.23.")
    printed = printed_by(python310.with_name("e2v"), "recognize", "--examples")
    assert "neutral" in printed
    assert "%" in printed


def no_index(errors):
    """True if pip failed because no package index answered."""
    return "Connection" in errors or "resolution" in errors.lower().split("error:")[0]


def declared():
    if sys.version_info < (3, 11):
        pytest.skip("SKIPPED LOUDLY: reading pyproject.toml needs Python 3.11")
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements():
    project = declared()
    extras = project["optional-dependencies"]
    needed = ("cpu", "finetune", "mqtt", "alerts", "vad", "serve")
    return [*project["dependencies"], *(item for name in needed for item in extras[name])]


@pytest.mark.slow
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
    if no_index(done.stderr):
        pytest.skip(f"SKIPPED LOUDLY: no package index could be asked: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())["install"]
    files = [item["download_info"]["url"].rsplit("/", 1)[-1] for item in found]
    assert any(name.startswith("onnxruntime-") for name in files)
    assert all(name.endswith(("_aarch64.whl", "-any.whl")) for name in files)
    assert not any(name.startswith("torch-") for name in files)


def imported(path, modules):
    """Names of the modules that a test file imports when it is loaded, through others of the tests."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            yield name
            if name in modules:
                yield from imported(modules[name], modules)


def test_the_hosted_tests_of_the_wheel_need_no_torch():
    """They run without it, and a module that imports it would stop them all."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    ignored = [ROOT / path for path in re.findall(r"--ignore (\S+)", workflow)]
    assert len(ignored) > 3
    assert all(path.exists() for path in ignored)
    files = list((ROOT / "tests").rglob("*.py"))
    modules = {path.stem: path for path in files}
    needy = [
        path.relative_to(ROOT)
        for path in files
        if path.name.startswith("test_")
        and not any(path == other or other in path.parents for other in ignored)
        and "torch" in imported(path, modules)
    ]
    assert not needy


DISTRIBUTIONS = {
    "paho": "paho-mqtt", "sklearn": "scikit-learn", "umap": "umap-learn",
    "pydantic": "fastapi", "pydantic_core": "fastapi", "starlette": "fastapi",
}  # fmt: skip
"""Module → the distribution that brings it, where their names differ."""


def at_run_time(path):
    """Imports of a file, without those for type checking alone."""
    waiting = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        waiting.extend(ast.iter_child_nodes(node))


def test_the_engine_imports_what_it_declares():
    """What another requirement happens to bring is missing with another version of that."""
    project = declared()
    extras = {"cpu", "mic", "plot", "mqtt", "alerts", "vad", "serve", "cloud", "ray", "hub", "cluster",
              "parquet", "datasets", "spark", "umap", "search"}  # fmt: skip
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    known = {re.match(r"[\w.-]+", text)[0].lower() for text in wanted}
    imports = {
        name.partition(".")[0]
        for path in (ROOT / "engine").rglob("*.py")
        for name in at_run_time(path)
    }
    imports -= {*sys.stdlib_module_names}
    assert {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in imports} <= known

"""Files of a bundle compared with their checksums."""

import json
import os
import shutil

import onnx
import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import integrity
from emotion2vec_edge.engine.errors import BundleFormatError, BundleTamperedError


def test_a_tampered_file_is_refused(copy):
    graph = copy / "fp32" / "encoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(BundleTamperedError, match=r"sha256 is .* copy or export"):
        Recognizer.load(copy, precision="fp32")


def test_a_file_of_another_size_or_none_is_refused(copy):
    graph = copy / "fp32" / "encoder.onnx"
    with graph.open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleTamperedError, match="bytes where"):
        Recognizer.load(copy, precision="fp32")
    graph.unlink()
    with pytest.raises(BundleTamperedError, match="No such file"):
        Recognizer.load(copy, precision="fp32")


@pytest.fixture
def hashed(monkeypatch):
    """Paths of the files that are read whole."""
    paths = []
    original = integrity._read
    monkeypatch.setattr(
        integrity,
        "_read",
        lambda file, path, *rest: paths.append(path) or original(file, path, *rest),
    )
    return paths


def test_a_file_is_hashed_once(copy, hashed):
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 2
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 2
    os.utime(copy / "fp32" / "encoder.onnx", (1, 1))
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 3


def test_a_change_in_place_that_keeps_size_and_time_is_seen(copy):
    open_bundle(copy).verify("fp32")
    graph = copy / "fp32" / "encoder.onnx"
    before = graph.stat()
    with graph.open("r+b") as file:
        file.seek(1_000_000)
        file.write(bytes(100))
    os.utime(graph, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert graph.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(BundleTamperedError, match="sha256 is"):
        open_bundle(copy).verify("fp32")


def test_another_file_in_its_place_is_seen(copy, hashed):
    open_bundle(copy).verify("fp32")
    graph = copy / "fp32" / "encoder.onnx"
    other = graph.with_name("other")
    shutil.copy2(graph, other)
    other.replace(graph)
    open_bundle(copy).verify("fp32")
    assert hashed[2:] == [graph]


def test_a_file_that_changes_while_it_is_read_is_not_remembered(copy, hashed, monkeypatch):
    original = integrity._digest

    def digest(file):
        result = original(file)
        os.utime(file.fileno(), (1, 1))
        return result

    with monkeypatch.context() as patched:
        patched.setattr(integrity, "_digest", digest)
        open_bundle(copy).verify("fp32")
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 4


def test_an_unusable_cache_costs_time_and_nothing_else(copy, monkeypatch, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("E2V_CACHE", str(blocker / "cache"))
    open_bundle(copy).verify("fp32")


@pytest.mark.parametrize(
    "content",
    [b"{damaged", b"\xff", b"[1]", b"[" * 100_000, b"1" * 5_000, b" " * (5 << 20), b'{"a": 1}'],
    ids=range(7),
)
def test_a_damaged_cache_is_made_again(copy, monkeypatch, tmp_path, hashed, content):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path))
    (tmp_path / "verified.json").write_bytes(content)
    open_bundle(copy).verify("fp32")
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 2


@pytest.mark.parametrize("row", [None, 5, [], {}, ["a", 5], "text", [None]])
def test_a_row_of_another_form_is_read_again(copy, monkeypatch, tmp_path, hashed, row):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path))
    open_bundle(copy).verify("fp32")
    path = tmp_path / "verified.json"
    path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), row)))
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 4


def test_a_pipe_in_place_of_the_cache_is_replaced_by_nothing(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path))
    os.mkfifo(tmp_path / "verified.json")
    open_bundle(copy).verify("fp32")


def test_the_cache_forgets_the_oldest_files(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path))
    monkeypatch.setattr(integrity, "MOST_REMEMBERED", 3)
    open_bundle(copy).verify("fp32")
    open_bundle(copy).verify("int8")
    rows = json.loads((tmp_path / "verified.json").read_text())
    assert [key.split("|")[0].split("/")[-2] for key in rows] == ["fp32", "int8", "int8"]


def test_a_pipe_or_a_device_is_no_file_of_a_bundle(copy):
    graph = copy / "fp32" / "encoder.onnx"
    graph.unlink()
    os.mkfifo(graph)
    with pytest.raises(BundleTamperedError, match="not a regular file"):
        open_bundle(copy).verify("fp32")
    graph.unlink()
    graph.symlink_to("/dev/zero")
    with pytest.raises(BundleTamperedError, match="not a regular file"):
        open_bundle(copy).verify("fp32")


def test_a_link_to_the_right_content_is_followed(copy, tmp_path):
    """Installers and model hubs keep files in a store and link to them."""
    graph = copy / "fp32" / "encoder.onnx"
    graph.replace(tmp_path / "blob")
    graph.symlink_to(tmp_path / "blob")
    open_bundle(copy).verify("fp32")
    (tmp_path / "blob").write_bytes(bytes(graph.stat().st_size))
    with pytest.raises(BundleTamperedError, match="sha256 is"):
        open_bundle(copy).verify("fp32")


@pytest.fixture
def split(copy, edit):
    """Move the fp32 encoder's weights to a file beside it; ``split(listed=…)`` lists that or not."""

    def moved(*, listed, location="weights.bin"):
        folder = copy / "fp32"
        model = onnx.load(folder / "encoder.onnx")
        (folder / "encoder.onnx").unlink()
        onnx.save_model(
            model, folder / "encoder.onnx", save_as_external_data=True, location="weights.bin"
        )
        if location != "weights.bin":
            content = (folder / "encoder.onnx").read_bytes()
            assert len(location) == len("weights.bin")
            (folder / "encoder.onnx").write_bytes(
                content.replace(b"weights.bin", location.encode())
            )

        def change(document):
            files = [file.__dict__ for file in integrity.variant_files(copy, "fp32")]
            document["variants"]["fp32"]["files"] = [
                file for file in files if listed or not file["path"].endswith(".bin")
            ]

        edit(copy, change)

    return moved


def test_listed_external_data_is_used(copy, split, example, recognizer):
    split(listed=True)
    result = Recognizer.load(copy, precision="fp32").recognize(example)
    assert result.scores == recognizer.recognize(example).scores
    (copy / "fp32" / "weights.bin").write_bytes(
        bytes((copy / "fp32" / "weights.bin").stat().st_size)
    )
    with pytest.raises(BundleTamperedError, match=r"weights\.bin: sha256 is"):
        Recognizer.load(copy, precision="fp32")


def test_external_data_that_is_not_listed_is_refused(copy, split):
    split(listed=False)
    for _ in range(2):
        with pytest.raises(
            BundleFormatError, match=r"reads its weights from 'weights\.bin', which"
        ):
            Recognizer.load(copy, precision="fp32")


def test_external_data_whose_entry_is_taken_away_is_refused(copy, split, edit):
    split(listed=True)
    Recognizer.load(copy, precision="fp32")
    edit(
        copy,
        lambda d: d["variants"]["fp32"].update(
            files=[f for f in d["variants"]["fp32"]["files"] if not f["path"].endswith(".bin")]
        ),
    )
    with pytest.raises(BundleFormatError, match="bundle.json does not list"):
        Recognizer.load(copy, precision="fp32")


@pytest.mark.parametrize("location", ["/etc/passwd", "../../x.bin", "fp32/wx.bin"])
def test_external_data_elsewhere_is_refused(copy, split, location):
    split(listed=True, location=location)
    with pytest.raises(BundleFormatError, match="does not list"):
        Recognizer.load(copy, precision="fp32")


def test_a_graph_that_is_no_model_is_refused(copy, edit):
    graph = copy / "fp32" / "encoder.onnx"
    graph.write_bytes(b"not a model")
    sha256, size = integrity.sha256_of(graph), graph.stat().st_size
    edit(
        copy,
        lambda d: [
            file.update(bytes=size, sha256=sha256)
            for file in d["variants"]["fp32"]["files"]
            if file["path"].endswith("encoder.onnx")
        ],
    )
    with pytest.raises(BundleFormatError, match="not an ONNX graph"):
        Recognizer.load(copy, precision="fp32")

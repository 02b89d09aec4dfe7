"""Variants in a bundle's folder, and the one switch between them."""

import dataclasses
import json
import multiprocessing
import shutil

import pytest
from quantized import add, check_nothing_else, check_whole, fp32_alone, int8_variants

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.errors import BundleTamperedError, ModelError
from emotion2vec_edge.quantize.rewrites.graph import load_graph
from emotion2vec_edge.quantize.variants import add_variant


@pytest.fixture(scope="module")
def fp32(tmp_path_factory):
    return fp32_alone(tmp_path_factory.mktemp("bundle") / "model")


@pytest.fixture(scope="module")
def variants():
    return int8_variants()


def test_a_variant_is_added_replaced_and_repeated(fp32, variants, tmp_path, example):
    folder = tmp_path / "model"
    shutil.copytree(fp32, folder)
    first, second = variants
    assert add(folder, first).files[0].path == "int8/encoder.onnx"
    name = add(folder, second).files[0].path.split("/")[0]
    assert name.startswith("int8-")
    check_nothing_else(folder)
    assert add(folder, second).files[0].path.startswith(f"{name}/")  # the same content
    assert add(folder, first).files[0].path == "int8/encoder.onnx"
    check_nothing_else(folder)
    assert Recognizer.load(folder, precision="int8").recognize(example).emotion


def test_a_reader_that_opened_before_the_switch_goes_on(fp32, variants, tmp_path, example):
    folder = tmp_path / "model"
    shutil.copytree(fp32, folder)
    add(folder, variants[0])
    reader = Recognizer.load(folder, precision="int8")
    before = reader.recognize(example).scores
    add(folder, variants[1])
    assert reader.recognize(example).scores == before


def _add_in_a_process(folder, variant, barrier):
    barrier.wait()
    add(folder, variant)


def test_two_processes_at_the_same_time(fp32, variants, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(fp32, folder)
    fp16 = dataclasses.replace(variants[1], precision="fp16", providers=("cuda",))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [
        context.Process(target=_add_in_a_process, args=(folder, variant, barrier))
        for variant in (variants[0], fp16)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert set(check_whole(folder, ("first",)).manifest.variants) == {"fp32", "int8", "fp16"}
    check_nothing_else(folder)


def test_a_bundle_that_changes_meanwhile(fp32, variants, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(fp32, folder)
    bundle = open_bundle(folder)
    document = json.loads((folder / "bundle.json").read_text())
    document["variants"]["fp32"]["recipe"]["exporter"] = "another"
    (folder / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleTamperedError, match="fp32 has changed meanwhile"):
        add_variant(bundle, variants[0])


def test_folders_of_others_stay(fp32, variants, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(fp32, folder)
    (folder / "notes").mkdir()
    (folder / "int8.old").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (folder / "int8-01234567").symlink_to(tmp_path / "elsewhere")
    add(folder, variants[0])
    add(folder, variants[1])
    assert (folder / "notes").is_dir()
    assert (folder / "int8.old").is_dir()
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x08", b"\xff" * 50])
def test_graphs_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "encoder.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"encoder\.onnx: not a valid ONNX graph"):
        load_graph(path)

"""Tensors of torch files: the same as torch reads, and no more memory than the file has bytes."""

import io
import os
import zipfile

import pytest
import torch

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.export.checkpoint.tensors import DTYPES, read_tensors


def saved(tmp_path, content, **options):
    path = tmp_path / "model.pt"
    torch.save(content, path, **options)
    return path


def rewritten(path, change, kind=zipfile.ZIP_STORED):
    """The archive with every record as ``change(name, content)`` gives it."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)), kind)
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_as_torch_reads_them(tmp_path, zipped):
    base = torch.arange(24, dtype=torch.float32)
    content = {
        "plain": torch.randn(3, 4), "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 7),
        "transposed": base.view(4, 6).T, "slice": base[3:9:2], "parameter": torch.nn.Parameter(base),
        **{f"of {name}": torch.ones(3).to(dtype) for name, dtype in DTYPES.items()},
    }  # fmt: skip
    path = saved(tmp_path, {"model": content}, _use_new_zipfile_serialization=zipped)
    found = read_tensors(path)
    assert found.keys() == content.keys()
    for name, tensor in content.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor.detach(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (lambda: torch.eye(3).to_sparse(), "weight is of the kind 'sparse tensor'"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "kind 'qtensor'"),
        (lambda: torch.empty(3, device="meta"), "only dense tensors are supported"),
        (lambda: torch.ones(3, dtype=torch.complex64), "'torch ComplexFloatStorage'"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_other_tensors_are_named(tmp_path, tensor, message):
    with pytest.raises(CheckpointError, match=message):
        read_tensors(saved(tmp_path, {"model": {"weight": tensor()}}))


def test_a_tensor_that_is_larger_than_its_storage(tmp_path):
    huge = torch.ones(1).expand(1 << 40)
    with pytest.raises(CheckpointError, match="'weight' reaches beyond its storage"):
        read_tensors(saved(tmp_path, {"model": {"weight": huge}}))


def test_tensors_that_share_their_storage_fill_no_memory(tmp_path):
    base = torch.ones(1 << 20)
    content = {f"weight.{number}": base[:] for number in range(1_000)}
    with pytest.raises(CheckpointError, match="share their memory"):
        read_tensors(saved(tmp_path, {"model": content}))


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (b"M\xe9\x03", "the record 'model/data/0' has another size"),  # 1,001
        (b"J\x00\x00\x00\x10", "a storage is larger than the file"),  # 268,435,456
    ],
)
def test_sizes_that_lie(tmp_path, count, message):
    """The pickle says more values than the 1,000 of the record."""
    path = saved(tmp_path, {"model": {"weight": torch.ones(1_000)}})
    rewritten(
        path,
        lambda name, content: (
            content.replace(b"M\xe8\x03", count) if name.endswith("data.pkl") else content
        ),
    )
    with pytest.raises(CheckpointError, match=message):
        read_tensors(path)


def test_a_compressed_archive_is_not_unpacked(tmp_path):
    path = saved(tmp_path, {"model": {"weight": torch.zeros(1 << 20)}})
    rewritten(path, lambda _, content: content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    with pytest.raises(CheckpointError, match="has another size"):
        read_tensors(path)


def test_a_flipped_bit_is_found(tmp_path):
    path = saved(tmp_path, {"model": {"weight": torch.ones(1_000)}})
    content = bytearray(path.read_bytes())
    content[content.index(b"\0\0\x80\x3f" * 9) + 20] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="Bad CRC-32"):
        read_tensors(path)


def test_big_endian_numbers_are_refused(tmp_path):
    path = saved(tmp_path, {"model": {"weight": torch.ones(3)}})
    rewritten(path, lambda name, content: b"big" if name.endswith("byteorder") else content)
    with pytest.raises(CheckpointError, match="not little-endian"):
        read_tensors(path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        "text",
        5,
        None,
        torch.ones(3),
        torch.nn.Linear(2, 2),
        {"a": 1},
        {},
        {5: torch.ones(1)},
    ],
    ids=lambda content: type(content).__name__,
)
def test_files_without_named_weights(tmp_path, content):
    with pytest.raises(CheckpointError, match="not a dict of weights|no weights under any of"):
        read_tensors(saved(tmp_path, content))


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        with pytest.raises(CheckpointError, match="not a regular file"):
            read_tensors(type(tmp_path)(path))

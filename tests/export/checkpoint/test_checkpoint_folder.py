"""Checkpoint folders, the good and the bad; nothing in them is executed."""

import itertools
import os
import pickle

import pytest
import yaml
from checkpoints import document, write_checkpoint

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint


def test_a_checkpoint(tmp_path):
    write_checkpoint(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    assert [label.id for label in checkpoint.labels] == ["angry", "disgusted", "happy", "unknown"]
    assert checkpoint.model.encoder.head.out_features == 4  # without unuse_0
    assert (checkpoint.config.hop, checkpoint.config.receptive_field) == (320, 400)
    assert set(checkpoint.files) == {"config.yaml", "model.pt", "tokens.txt"}


def test_the_trained_checkpoint(small_checkpoint):
    checkpoint = load_checkpoint(small_checkpoint)
    assert sum(p.numel() for p in checkpoint.model.parameters()) == 5_458_317


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    proof = tmp_path / "executed"

    class Payload:
        def __reduce__(self):
            return (open, (str(proof), "w"))

    write_checkpoint(tmp_path / "a", wrap=lambda w: {"model": w, "evil": Payload()})
    load_checkpoint(tmp_path / "a")
    (tmp_path / "a" / "model.pt").write_bytes(pickle.dumps({"model": Payload()}))
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "a")
    assert not proof.exists()


def test_a_cut_off_download(tmp_path):
    write_checkpoint(tmp_path)
    path = tmp_path / "model.pt"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(CheckpointError, match="not a torch checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["config.yaml", "model.pt", "tokens.txt"])
def test_missing_files_are_named(tmp_path, name):
    write_checkpoint(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["a: [", "\x00", "- 1", "42"])
def test_configs_that_are_no_mapping(tmp_path, text):
    write_checkpoint(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in itertools.pairwise("abcdefghijklmnop")
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [*{before}, *{before}]}}\n"
    for before, name in itertools.pairwise("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL")
)


@pytest.mark.parametrize(
    "text",
    [
        ALIASES + "model: *p", MERGES, "[" * 5_000, "a: " + "x" * 100_000,
        "!!timestamp 2020-99-99", "!!int ''", "!!bool x", "!!binary '@'", "9" * 5_000,
        "!!timestamp x", "? [a]\n: b", "!!python/object/apply:os.system ['true']", "model: &a [*a]",
    ],
)  # fmt: skip
def test_configs_that_yaml_stumbles_over(tmp_path, text):
    """Endless text from aliases and merges, recursion, and scalars that PyYAML raises over."""
    write_checkpoint(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.yaml") as error:
        load_checkpoint(tmp_path)
    assert len(str(error.value)) < 2_000


@pytest.mark.parametrize("name", ["config.yaml", "model.pt", "tokens.txt"])
@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_files_that_are_none(tmp_path, name, kind):
    write_checkpoint(tmp_path)
    path = tmp_path / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(tmp_path)


def test_no_memory_is_reserved_for_what_the_config_only_says(tmp_path):
    """A thousand blocks of 16,384 channels would need 13 TB."""
    write_checkpoint(tmp_path)
    huge = document(embed_dim=16_384, depth=1_000, num_heads=4, conv_pos_groups=4)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(huge))
    with pytest.raises(CheckpointError, match=r"does not fit config\.yaml; missing: .*blocks\.2"):
        load_checkpoint(tmp_path)

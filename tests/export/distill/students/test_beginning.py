"""The weights that a student begins with."""

import pytest
import torch
from checkpoints import document, write_checkpoint

from emotion2vec_edge.engine.errors import CheckpointError, OptionError
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.distill.students.beginning import _places, read_beginning

TOKENS = ["angry", "happy", "sad"]
LABELS = len(TOKENS)


@pytest.fixture
def folders(tmp_path):
    """Two students of two blocks."""
    paths = [tmp_path / name for name in ("first", "second")]
    for seed, path in enumerate(paths):
        write_checkpoint(path, seed=seed, tokens=TOKENS)
    return paths


def frames_of(model):
    waves = torch.randn(2, 8_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(waves, torch.tensor([8_000, 6_000]))[0]


def test_one_student_goes_on_as_it_was(folders):
    beginning = read_beginning(folders[:1], document(), TOKENS)
    model = beginning.model(document(), LABELS, 5)
    assert torch.equal(frames_of(model), frames_of(load_checkpoint(folders[0]).model))


def test_several_students_begin_with_their_mean(folders):
    beginning = read_beginning(folders, document(), TOKENS)
    weights = beginning.model(document(), LABELS, 5).state_dict()
    first, second = (load_checkpoint(folder).model.state_dict() for folder in folders)
    for name, value in weights.items():
        assert torch.allclose(value, (first[name] + second[name]) / 2), name
    alone = read_beginning(folders[:1], document(), TOKENS)
    assert len({beginning.checksum, alone.checksum, ""}) == 3


@pytest.mark.parametrize("norm_affine", [True, False])
@pytest.mark.parametrize("depth", [3, 4, 7])
def test_added_blocks_pass_on_what_they_get(tmp_path, depth, norm_affine):
    small = document(norm_affine=norm_affine)
    large = document(norm_affine=norm_affine, depth=depth)
    write_checkpoint(tmp_path / "small", small, tokens=TOKENS)
    before = frames_of(load_checkpoint(tmp_path / "small").model)
    model = read_beginning([tmp_path / "small"], large, TOKENS).model(large, LABELS, 5)
    assert len(model.encoder.blocks) == depth
    after = frames_of(model)
    alike = torch.nn.functional.cosine_similarity(before, after, dim=2)[before.abs().sum(2) > 0]
    assert float(alike.min()) > 0.99
    fresh = frames_of(read_beginning([], large, TOKENS).model(large, LABELS, 5))
    assert float(torch.nn.functional.cosine_similarity(before, fresh, dim=2).mean()) < 0.9


def test_the_places_of_added_blocks():
    assert _places(6, 6) == [0, 1, 2, 3, 4, 5]
    assert _places(6, 8) == [0, 1, 2, 2, 3, 4, 5, 5]
    assert _places(2, 3) == [0, 1, 1]
    assert _places(2, 7) == [0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "tokens", "message"),
    [
        ({"mlp_ratio": 3.0}, TOKENS, "another architecture"),
        ({"depth": 1}, TOKENS, "it has 2 blocks, and --shape has 1"),
        ({}, ["angry", "happy"], "its labels are not angry, happy"),
    ],
)
def test_students_that_cannot_begin(folders, changes, tokens, message):
    with pytest.raises(OptionError, match=message):
        read_beginning(folders[:1], document(**changes), tokens)


@pytest.mark.parametrize("kind", ["layer_norm_first", "learned_alibi_scale_per_layer"])
def test_blocks_that_cannot_be_added_to(tmp_path, kind):
    changes = {kind: True}
    if kind == "learned_alibi_scale_per_layer":
        changes["learned_alibi_scale_per_head"] = False
    write_checkpoint(tmp_path / "first", document(**changes), tokens=TOKENS)
    with pytest.raises(OptionError, match="cannot be added to"):
        read_beginning([tmp_path / "first"], document(**changes, depth=3), TOKENS)


def test_students_of_two_depths(folders, tmp_path):
    write_checkpoint(tmp_path / "deep", document(depth=3), tokens=TOKENS)
    with pytest.raises(OptionError, match="another number of blocks than the first"):
        read_beginning([folders[0], tmp_path / "deep"], document(depth=4), TOKENS)
    with pytest.raises(CheckpointError, match="no such folder"):
        read_beginning([tmp_path / "nothing"], document(), TOKENS)

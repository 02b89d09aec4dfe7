"""Students that begin as the first blocks of a Whisper."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
import yaml
from checkpoints import FEW_CONVOLUTIONS, document
from whispers import CONFIG

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.checkpoint.config import read_config
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.distill.distillation import distill
from emotion2vec_edge.export.distill.lessons.batches import DistillationBatch
from emotion2vec_edge.export.distill.recipe import LED, DistillationRecipe, inheriting
from emotion2vec_edge.export.distill.settings import DistillationSettings
from emotion2vec_edge.export.distill.students.heir import Heir, led_share
from emotion2vec_edge.export.distill.students.inheritance import (
    Inheritance,
    _inherit,
    check_heir,
)
from emotion2vec_edge.export.distill.students.learner import frames_distance
from emotion2vec_edge.export.distill.teachers.blockwise import LAST, BlockwiseWhisper
from emotion2vec_edge.export.distill.teachers.whisper import (
    Tuning,
    WhisperModel,
    WhisperTeacher,
    load_whisper,
)
from emotion2vec_edge.export.distill.teachers.whisper_encoder import EncoderLayer
from emotion2vec_edge.export.model.layers import Block
from emotion2vec_edge.export.model.padding import normalized_batch

CPU = torch.device("cpu")
TOKENS = ("angry", "happy", "sad")


def heir(**changes):
    """The config.yaml of a student that can inherit from the tiny Whisper."""
    return document(
        **{
            "num_heads": 2, "num_alibi_heads": 2, "prenet_depth": 1, "depth": 1,
            "feature_encoder_spec": FEW_CONVOLUTIONS, **changes,
        }
    )  # fmt: skip


@pytest.fixture
def tuned(whisper):
    """The tiny Whisper with a head."""
    torch.manual_seed(3)
    model = WhisperModel(CONFIG, whisper.model.layers, len(TOKENS)).eval()
    model.encoder.load_state_dict(whisper.model.encoder.state_dict())
    tuning = Tuning(TOKENS, model.layers, "")
    return WhisperTeacher(whisper.folder, "tuned", whisper.sha256, model, tuning)


@pytest.fixture
def blockwise(tuned, clips):
    return BlockwiseWhisper(tuned, clips, CPU)


@pytest.mark.parametrize("half", ["attention", "mlp"])
def test_each_half_of_a_block_is_the_same_where_all_frames_are_as_wide(half):
    torch.manual_seed(0)
    layer = EncoderLayer(CONFIG)
    for norm in (layer.self_attn_layer_norm, layer.final_layer_norm):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    other = layer.fc2 if half == "attention" else layer.self_attn.out_proj
    for weight in other.parameters():
        torch.nn.init.zeros_(weight)
    block = Block(read_config(heir())).eval()
    dim = CONFIG.d_model
    normalized = F.layer_norm(torch.randn(2, 30, dim), (dim,), eps=0)
    with torch.no_grad():
        stream = 3 * normalized
        _inherit(block, layer, stream, torch.tensor([1, 0]))
        wanted = layer(stream, torch.ones(1, 1, 1, 30, dtype=torch.bool))
        found = block(normalized, torch.zeros(1, 1, 1, 30))
    wanted = F.layer_norm(wanted, (dim,))
    assert not torch.allclose(wanted, normalized, atol=0.1)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_rows_do_not_know_the_place(blockwise):
    """The mean state is the same at each place, which the teacher's is not."""
    states = blockwise.states(blockwise.sample)  # of these clips it is all
    for layer in range(1, CONFIG.encoder_layers + 1):
        own = states[layer]
        free = blockwise.placeless(layer, own).mean(dim=0)
        assert own.mean(dim=0).var(dim=0).mean() > 1e-3
        assert free.var(dim=0).mean() < 1e-9
    longer = torch.zeros(1, len(blockwise.places[1]) + 9, CONFIG.d_model)
    end = -blockwise.placeless(1, longer)[0, -1]
    mean = blockwise.places[1][-LAST:].mean(dim=0) - blockwise.places[1].mean(dim=0)
    torch.testing.assert_close(end, mean)


def test_its_answers_are_the_teachers(blockwise, tuned):
    waves, lengths = torch.randn(2, 16_080), torch.tensor([16_080, 9_680])
    counts = (lengths - 400) // 320 + 1
    inside = torch.arange(int(counts.max())) < counts[:, None]
    means = []
    for teacher in (blockwise, tuned):
        rows = teacher.rows(waves, lengths) * inside[..., None]
        means.append(rows.sum(dim=1) / counts[:, None])
    torch.testing.assert_close(blockwise.answers(means[0]), tuned.answers(means[1]))
    rows = blockwise.rows(waves, lengths)
    assert blockwise.taught(rows).shape[2] == 2
    assert rows.shape[-1] == blockwise.width
    assert blockwise.key != tuned.key


@pytest.fixture
def learner(blockwise):
    # Extra tokens are not led, and would carry what a block hears of the one before it.
    model = Inheritance(blockwise).model(heir(num_extra_tokens=0), len(TOKENS), 1)
    recipe = DistillationRecipe(steps=100, frontend_steps=0, mel_weight=0.0, led=LED)
    return Heir(model, len(TOKENS), recipe, [blockwise])


def test_an_heir_begins_with_the_teachers_head_and_hears_alone(learner, blockwise):
    encoder = learner.model.encoder
    assert torch.equal(encoder.head.weight, blockwise.model.head.weight)
    assert (encoder.alibi_scale > 0).all()
    batch = _batch(blockwise)
    learner.losses(batch, 0)
    assert learner._lesson is None
    learner.eval()
    own = learner.model(batch.waves, batch.lengths)[0]
    heard = learner.hear(batch.waves, batch.lengths).frames
    torch.testing.assert_close(heard, own, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("step", "led"), [(0, True), (60, False), (99, False)])
def test_a_block_that_is_led_does_not_hear_the_one_before_it(learner, blockwise, step, led):
    first = learner.model.encoder.prenet[0].norm2.bias
    batch, last = _batch(blockwise), []
    for _ in range(2):
        learner.losses(batch, step)
        last.append(learner._given[-1].detach())
        with torch.no_grad():
            first += torch.randn(len(first))
    same = torch.allclose(*last)
    assert same == led


@pytest.mark.parametrize("step", [0, 60, 99])
def test_a_block_learns_from_its_own_error_alone(learner, blockwise, step):
    batch = _batch(blockwise)
    blocks = learner.model.encoder.every_block
    gradients = {}
    for changed in (None, 0, 1):
        taught = batch.taught[0].clone()
        if changed is not None:
            taught[:, :, changed] *= -1  # what that block shall give
        learner.zero_grad()
        learner.losses(dataclasses.replace(batch, taught=(taught,)), step).total.backward()
        gradients[changed] = [block.fc2.weight.grad.clone() for block in blocks]
    first, last = (
        [torch.allclose(gradients[None][block], gradients[changed][block]) for changed in (0, 1)]
        for block in (0, 1)
    )
    assert first == [False, True]
    assert last[1] is False


def test_the_first_block_learns_by_itself_at_first(learner, blockwise):
    learner.recipe = dataclasses.replace(learner.recipe, frontend_steps=10)
    batch = _batch(blockwise)
    losses = learner.losses(batch, 9)
    assert set(losses.parts) == {"frames"}
    losses.total.backward()
    encoder = learner.model.encoder
    assert learner.model.frontend.convs[0].conv.weight.grad.abs().sum() > 0
    assert encoder.every_block[0].fc2.weight.grad.abs().sum() > 0
    later = [*encoder.every_block[1].parameters(), *encoder.head.parameters()]
    assert all(weight.grad is None for weight in later)
    own = learner.hear(batch.waves, batch.lengths)
    learner.losses(batch, 10)
    wanted = batch.taught[0][:, :, 0]
    found = frames_distance(learner._given[0], wanted, own.valid)
    torch.testing.assert_close(losses.total, found)


def test_the_stages_of_an_heir():
    new = inheriting(DistillationRecipe(steps=100), new=True)
    assert 0 < new.frontend_steps < 100 * new.led[0] < 100 * new.led[1] < 60
    assert new.mel_weight == 0
    gone_on = inheriting(DistillationRecipe(steps=100, frontend_steps=0), new=False)
    assert gone_on.frontend_steps == 0
    assert gone_on.led == (0, 0)


def _batch(teacher):
    lengths = torch.tensor([16_080, 16_080])
    waves = normalized_batch(torch.randn(2, 16_080), lengths)
    with torch.no_grad():
        rows = teacher.rows(waves, lengths)
        answers = teacher.answers(rows.mean(dim=1))
    return DistillationBatch(
        waves, lengths, (teacher.taught(rows),), answers,
        torch.eye(3)[:2], torch.tensor([True, True]), torch.ones(2, 3, dtype=torch.bool),
        torch.tensor([1, 0]), torch.zeros(2),
    )  # fmt: skip


def test_fewer_and_fewer_are_led():
    shares = [led_share(LED, step / 20) for step in range(21)]
    assert shares[0] == 1
    assert shares[-1] == 0
    assert shares == sorted(shares, reverse=True)
    assert 0 < led_share(LED, 0.5) < 1
    assert led_share(DistillationRecipe().led, 0.0) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed_dim": 64}, "embed_dim is 64, and the teacher has 32"),
        ({"num_heads": 4}, "num_heads is 4, and the teacher has 2"),
        ({"num_alibi_heads": 1}, "num_alibi_heads is 1"),
        ({"mlp_ratio": 4.0}, "the width of its MLP is 128, and the teacher has 64"),
        ({"depth": 2}, "it has 3 blocks, and the teacher has 2"),
        ({"layer_norm_first": True}, "do not normalise last"),
        ({"learned_alibi_scale_per_layer": True}, "no scale for each head"),
    ],
)
def test_students_that_cannot_inherit(tuned, changes, message):
    with pytest.raises(OptionError, match=message):
        check_heir("own.yaml", heir(**changes), [tuned])


def test_inheritance_is_from_one_whisper(tuned):
    assert check_heir("own.yaml", heir(), [tuned]) is tuned
    with pytest.raises(OptionError, match="for a single Whisper"):
        check_heir("own.yaml", heir(), [tuned, tuned])


@pytest.mark.slow
def test_a_whole_inheritance(corpus, whisper_folder, tmp_path):
    shape = tmp_path / "heir.yaml"
    shape.write_text(yaml.safe_dump(heir()))
    settings = DistillationSettings(
        tmp_path / "student", (str(whisper_folder),), shape=str(shape), batch_seconds=4.0,
        validation=0.25, steps=6, live=True, inherit=True, tune_teacher=True, tune_steps=2,
    )  # fmt: skip
    evidence = distill(settings, read_corpus(corpus, "train"))
    assert evidence.labels_from == "both"
    student = load_checkpoint(settings.output)
    assert student.config.embed_dim == CONFIG.d_model
    assert load_whisper(settings.tuned, "tuned", None, CPU).tuning is not None
    other = dataclasses.replace(
        settings, output=tmp_path / "other", tune_teacher=False, labels_from="data"
    )
    untuned = distill(other, read_corpus(corpus, "train"))
    assert untuned.agreement is None
    further = dataclasses.replace(
        settings, teachers=(str(settings.tuned),), tune_teacher=False, tune_steps=None,
        output=tmp_path / "further", students=(settings.output,), steps=1, learning_rate=1e-9,
    )  # fmt: skip
    distill(further, read_corpus(corpus, "train"))
    begun, gone_on = student.model.state_dict(), load_checkpoint(further.output).model.state_dict()
    for name, weight in begun.items():
        torch.testing.assert_close(gone_on[name], weight, atol=1e-4, rtol=1e-3)

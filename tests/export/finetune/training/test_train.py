"""A whole training, from labelled speech to a checkpoint."""

import pytest
import torch
from checkpoints import write_checkpoint

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.finetune.training.log import LOG
from emotion2vec_edge.export.finetune.training.train import TrainingSettings, train

LABELS = ["angry", "happy", "sad"]


def test_a_checkpoint_without_a_head_has_nothing_to_train(corpus, tmp_path):
    write_checkpoint(tmp_path / "model", tokens=[])
    with pytest.raises(OptionError, match="no emotion head"):
        train(
            TrainingSettings(tmp_path / "out", str(tmp_path / "model")),
            read_corpus(corpus, "train"),
        )


def test_one_seed_gives_one_result(corpus, tmp_path):
    """Whatever torch's own generator holds: the auxiliary heads begin with random weights too."""
    write_checkpoint(tmp_path / "model", tokens=LABELS)
    clips = read_corpus(corpus, "train")

    def trained(name, seed, before):
        torch.manual_seed(before)
        settings = TrainingSettings(
            tmp_path / name, str(tmp_path / "model"), validation=0.25, steps=3, batch_seconds=4.0,
            learning_rate=1e-2, seed=seed,
        )  # fmt: skip
        train(settings, clips)
        return load_checkpoint(tmp_path / name).model.state_dict()

    first, again = trained("first", 1, before=0), trained("again", 1, before=99)
    for name, value in first.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=0)
    other = trained("other", 2, before=0)
    assert any(not torch.equal(other[name], value) for name, value in first.items())


def test_only_a_checkpoint_is_overwritten(corpus, tmp_path):
    write_checkpoint(tmp_path / "model", tokens=LABELS)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / LOG).write_text("irreplaceable")
    with pytest.raises(OptionError, match=r"holds no model\.pt; it will not be overwritten"):
        train(
            TrainingSettings(precious, str(tmp_path / "model"), overwrite=True),
            read_corpus(corpus, "train"),
        )
    assert (precious / LOG).read_text() == "irreplaceable"

"""``e2v finetune`` on the command line."""

import json

import pytest
from checkpoints import TOKENS, write_checkpoint
from commands import e2v

from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.finetune.training.state import STATE


def test_new_and_all_on_the_command_line(corpus, tiny, tmp_path):
    out = tmp_path / "new"
    arguments = ["--data", corpus, "-o", out, "--batch-seconds", 4, "--validation", 0.25]
    done = e2v("finetune", "--new", tiny, "--steps", 6, *arguments, "--licence", "CC0")
    assert done.returncode == 0, done.stderr
    assert b"mean UA" in done.stdout
    assert not (out / STATE).exists()
    assert load_checkpoint(out).labels[0].id == "angry"
    card = (out / "README.md").read_text()
    assert "licence: CC0" in card
    assert "6 steps" in card
    more = tmp_path / "more"
    done = e2v("finetune", out, "--all", "--steps", 2, "--data", corpus, "-o", more,
               "--batch-seconds", 4, "--validation", 0.25)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"not calibrated" in done.stdout
    assert "temperature" not in json.loads((more / "calibration.json").read_text())
    done = e2v("finetune", "--new", tiny, *arguments)
    assert (done.returncode, b"exists already" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give MODEL, or --new"),
        (["m"], "give --head"),
        (["m", "--new", "small"], "without MODEL"),
        (["m", "--head", "--steps", "3"], "are for --all and --new"),
    ],
)
def test_usage(corpus, tmp_path, arguments, message):
    done = e2v("finetune", *arguments, "--data", corpus, "-o", tmp_path / "out")
    assert (done.returncode, message in done.stderr.decode()) == (2, True), done.stderr


def test_labels_that_a_checkpoint_does_not_have(corpus, tmp_path):
    write_checkpoint(tmp_path / "model", tokens=TOKENS)
    done = e2v("finetune", tmp_path / "model", "--all", "--data", corpus, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert b"labels that the model does not have; it has angry, disgusted, happy" in done.stderr
    assert not (tmp_path / "out").exists()

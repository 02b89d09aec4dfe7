"""Labels of a checkpoint."""

import pytest
from checkpoints import TOKENS, write_checkpoint

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.checkpoint.labels import parse_label


def test_labels():
    assert (parse_label("生气/angry").id, parse_label("生气/angry").display) == ("angry", "生气")
    assert parse_label("<unk>").id == "unknown"
    assert parse_label("calm").display == "calm"


def test_tokens_must_match_the_head(tmp_path):
    write_checkpoint(tmp_path)
    (tmp_path / "tokens.txt").write_text("\n".join(TOKENS[:-1]), encoding="utf-8")
    with pytest.raises(CheckpointError, match="4 labels for a head of 5"):
        load_checkpoint(tmp_path)
    (tmp_path / "tokens.txt").write_text("a\nb\nc\nd\nx/a\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="occurs twice"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\nc\n\xff\xfe\nd\n", "cannot be read as text"),
        (b"a\nb\nc\nd\n/\n", "1 to 100 printable characters"),
        (b"a\nb\nc\nd\ne\0\n", "printable"),
        (b"a\nb\nc\nd\n" + b"e" * 101, "1 to 100"),
        (b"a\nb\nc\nd\n" + b"e" * (2 << 20), "larger than"),
    ],
)
def test_labels_that_no_bundle_can_have(tmp_path, content, message):
    write_checkpoint(tmp_path)
    (tmp_path / "tokens.txt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path)

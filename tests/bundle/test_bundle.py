"""An opened bundle: its variants and their graphs."""

import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.errors import VariantNotFoundError


def test_a_missing_precision_names_those_there_are(copy):
    with pytest.raises(VariantNotFoundError, match="no fp16 variant; it has fp32"):
        Recognizer.load(copy, precision="fp16")


def test_graphs_lie_where_the_manifest_says(copy, edit):
    def move(document):
        for file in document["variants"]["int8"]["files"]:
            file["path"] = file["path"].replace("int8/", "deep/int8-1/")

    edit(copy, move)
    assert open_bundle(copy).graphs("int8") == {
        graph: copy / "deep" / "int8-1" / f"{graph}.onnx" for graph in ("frontend", "encoder")
    }

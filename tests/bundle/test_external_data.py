"""External data of ONNX files, found on every way that leads to a tensor."""

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle import external_data
from emotion2vec_edge.engine.bundle.external_data import external_files
from emotion2vec_edge.engine.errors import BundleFormatError


def found(content):
    return external_files(io.BytesIO(content), Path("a.onnx"))


def tensor(location):
    made = numpy_helper.from_array(np.zeros(4, np.float32), "t")
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        made.external_data.add(key=key, value=value)
    return made


def constant(location, **more):
    return helper.make_node("Constant", [], ["y"], value=tensor(location), **more)


def graph(*nodes, **more):
    return helper.make_graph(list(nodes), "g", [], [], **more)


def sparse(location):
    made = onnx.SparseTensorProto(dims=[4])
    made.values.CopyFrom(tensor(location))
    made.indices.CopyFrom(tensor(f"indices of {location}"))
    return made


def test_graphs_without_external_data_have_none():
    for precision in ("fp32", "int8"):
        for path in open_bundle().graphs(precision).values():
            assert found(path.read_bytes()) == ()
    assert found(b"") == ()


def test_every_way_to_a_tensor_is_gone():
    branch = helper.make_node(
        "If", ["c"], ["y"], then_branch=graph(constant("then")), else_branch=graph(constant("else"))
    )
    lists = helper.make_node("Odd", [], [], tensors=[tensor("tensors")], graphs=[graph(branch)])
    main = graph(
        constant("constant"), lists, initializer=[tensor("initializer")],
        sparse_initializer=[sparse("sparse")],
    )  # fmt: skip
    lists.attribute.add(name="s", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(
        sparse("one")
    )
    lists.attribute.add(name="m").sparse_tensors.append(sparse("many"))
    main.node[1].CopyFrom(lists)
    function = helper.make_function(
        "d", "f", [], ["y"], [constant("function")], [helper.make_opsetid("", 18)]
    )
    function.attribute_proto.append(helper.make_attribute("default", tensor("default")))
    model = helper.make_model(main, functions=[function])
    training = model.training_info.add()
    training.initialization.CopyFrom(graph(constant("initialization")))
    training.algorithm.CopyFrom(graph(constant("algorithm")))
    expected = {
        "then", "else", "tensors", "constant", "initializer", "function", "default",
        "initialization", "algorithm",
        *(f"{start}{name}" for name in ("sparse", "one", "many") for start in ("", "indices of ")),
    }  # fmt: skip
    assert set(found(model.SerializeToString())) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a model", "not an ONNX graph"),
        (b"\x3a\xff\xff\xff\xff\x0f", "ends after its message"),
        (b"\x3a" + b"\xff" * 20, "a number without an end"),
        (b"\x0b", "wire type 3"),
        (b"\x3a", "a number without an end"),
    ],
)
def test_damaged_files_are_refused(content, message):
    with pytest.raises(BundleFormatError, match=message):
        found(content)


def test_names_are_bounded(monkeypatch):
    with pytest.raises(BundleFormatError, match="a name of 5000 bytes"):
        found(helper.make_model(graph(constant("x" * 5_000))).SerializeToString())
    monkeypatch.setattr(external_data, "MOST_FIELDS", 100)
    with pytest.raises(BundleFormatError, match="more than 100 fields"):
        found(b"\x08\x01" * 101)


def test_bytes_of_every_kind_end(rng):
    """Cut and mutated graphs are read or refused."""
    whole = open_bundle().graph("int8", "frontend").read_bytes()
    for _ in range(100):
        content = bytearray(whole[: rng.integers(len(whole))])
        for at in rng.integers(0, len(content), 20):
            content[at] = rng.integers(256)
        try:
            found(bytes(content))
        except BundleFormatError:
            continue

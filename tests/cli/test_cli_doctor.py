"""`e2v doctor`."""

from commands import e2v

from emotion2vec_edge.engine.cli.machine.doctor import ONE_NODE_GRAPH


def test_doctor():
    done = e2v("doctor")
    text = done.stdout.decode()
    assert done.returncode == 0
    for fact in ("ok  cpu", "soundfile", "usable by this process", "emotion2vec_small"):
        assert fact in text


def test_doctor_with_a_missing_model():
    done = e2v("doctor", E2V_MODEL="gone")
    assert done.returncode == 4
    assert b"from E2V_MODEL" in done.stdout


def test_the_probe_of_the_doctor_is_one_add():
    import onnx
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "probe", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    assert onnx.load_from_string(ONE_NODE_GRAPH) == model

"""`e2v quantize`."""

import shutil

import soundfile
from commands import e2v

from emotion2vec_edge.engine import example_recordings, load_audio, open_bundle
from emotion2vec_edge.quantize.int8 import all_layers
from emotion2vec_edge.quantize.rewrites.graph import load_graph


def test_quantize_refuses_from_the_command_line(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(open_bundle("emotion2vec_small").folder, folder)
    speech = load_audio(example_recordings()[0]).samples
    graphs = open_bundle(folder).graphs("fp32")
    *kept, _ = all_layers({name: load_graph(path) for name, path in graphs.items()})
    kept = [option for layer in kept for option in ("--keep-float", layer)]
    calibration = tmp_path / "speech"  # every layer that is not kept is run on it by itself
    calibration.mkdir()
    for number in range(8):
        clip = speech[number * 4_000 :][:16_000]
        soundfile.write(calibration / f"{number}.wav", clip, 16_000)
    done = e2v("quantize", folder, "--precision", "int8", "--agreement", "1.01",
               "--calibration", calibration, *kept)  # fmt: skip
    assert done.returncode == 4
    assert b"(limit 1.01)" in done.stderr
    assert b"is as it was" in done.stderr
    for precision, target in (("int8", "tensorrt"), ("fp16", "openvino")):
        done = e2v("quantize", folder, "--precision", precision, "--target", target)
        assert done.returncode == 2
        assert f"--target {target} is for --precision int8-static".encode() in done.stderr
    done = e2v("quantize", folder, "--precision", "int4")
    assert done.returncode == 2
    done = e2v("quantize", folder, "--precision", "int8", "--calibration", tmp_path / "gone")
    assert done.returncode == 2
    assert b"no such manifest" in done.stderr
    done = e2v("quantize", tmp_path, "--precision", "int8")
    assert done.returncode == 4

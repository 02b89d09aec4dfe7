"""`e2v quantize`."""

import shutil

import soundfile
from commands import e2v

from emotion2vec_edge.engine import example_recordings, load_audio, open_bundle


def test_quantize_refuses_from_the_command_line(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(open_bundle("emotion2vec_small").folder, folder)
    speech = load_audio(example_recordings()[0]).samples
    calibration = tmp_path / "speech"  # every layer is run on it
    calibration.mkdir()
    for number in range(8):
        clip = speech[number * 4_000 :][:16_000]
        soundfile.write(calibration / f"{number}.wav", clip, 16_000)
    done = e2v("quantize", folder, "--precision", "int8", "--agreement", "1.01",
               "--calibration", calibration)  # fmt: skip
    assert done.returncode == 4
    assert b"(limit 1.01)" in done.stderr
    assert b"is as it was" in done.stderr
    for precision, target in (("int8", "tensorrt"), ("int8-static", "avx2"), ("fp16", "openvino")):
        done = e2v("quantize", folder, "--precision", precision, "--target", target)
        assert done.returncode == 2
        assert f"--target {target} is for --precision int8".encode() in done.stderr
    done = e2v("quantize", folder, "--precision", "int4")
    assert done.returncode == 2
    done = e2v("quantize", folder, "--precision", "int8", "--calibration", tmp_path / "gone")
    assert done.returncode == 2
    assert b"no such manifest" in done.stderr
    done = e2v("quantize", tmp_path, "--precision", "int8")
    assert done.returncode == 4

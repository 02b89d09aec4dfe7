"""The oldest ONNX Runtime that is supported, JetPack 6's generation, gives the same labels.

It needs numpy 1 and Python 3.12 at most, so it lives in a virtual environment of its own.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import emotion2vec_edge.engine
from emotion2vec_edge.engine import Recognizer

pytestmark = pytest.mark.slow  # an environment of its own

OLDEST = ("onnxruntime==1.18.1", "numpy<2", "av", "click", "soundfile", "soxr")

SCRIPT = """
import json, sys
import numpy, onnxruntime
from emotion2vec_edge.engine import Recognizer
recognizer = Recognizer.load(precision=sys.argv.pop(1))
found = [recognizer.recognize(path) for path in sys.argv[1:]]
print(json.dumps({
    "versions": [onnxruntime.__version__, numpy.__version__],
    "scores": [utterance.scores for utterance in found],
}))
"""


@pytest.fixture(scope="module")
def old_python(tmp_path_factory):
    if sys.version_info >= (3, 13):
        pytest.skip("SKIPPED LOUDLY: onnxruntime 1.18.1 has no wheel for Python 3.13")
    folder = tmp_path_factory.mktemp("old")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", *OLDEST], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"SKIPPED LOUDLY: pip could not install {OLDEST}: {done.stderr[-300:]}")
    return python


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("int8", 0.02)])
def test_the_same_answers(old_python, test_clips, precision, tolerance):
    # The package as it is installed here, seen from the other environment.
    site = Path(emotion2vec_edge.engine.__file__).parents[2]
    link = old_python.parents[1] / "package"
    link.mkdir(exist_ok=True)
    if not (link / "emotion2vec_edge").exists():
        (link / "emotion2vec_edge").symlink_to(site / "emotion2vec_edge")
    recognizer = Recognizer.load(precision=precision)
    done = subprocess.run(
        [old_python, "-c", SCRIPT, precision, *map(str, test_clips)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(link), "E2V_CACHE": str(link / "cache")},
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["versions"][0] == "1.18.1"
    assert answer["versions"][1].startswith("1.")
    for path, scores in zip(test_clips, answer["scores"], strict=True):
        ours = recognizer.recognize(path)
        assert max(scores, key=scores.get) == ours.emotion
        np.testing.assert_allclose(
            list(scores.values()), list(ours.scores.values()), atol=tolerance, err_msg=str(path)
        )

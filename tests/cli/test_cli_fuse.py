"""`e2v fuse`, as a user runs it, with our own result as the speech."""

import json

import numpy as np
from commands import e2v

from emotion2vec_edge.engine import example_recordings


def test_turns_and_a_face_are_fused(tmp_path):
    (tmp_path / "turns.txt").write_text("0.0\t2.0\tann\n2.0\t4.0\tben\n")
    speech = tmp_path / "speech.json"
    done = e2v(
        "recognize", example_recordings()[0], "--turns", tmp_path / "turns.txt",
        "--format", "json", "-o", speech,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    file = json.loads(speech.read_text())
    file = (file[0] if isinstance(file, list) else file)["file"]
    face = tmp_path / "face.jsonl"
    face.write_text(json.dumps({
        "start": 0, "end": 2, "file": file, "scores": {"happy": 0.9, "contempt": 0.1},
    }))  # fmt: skip
    out = tmp_path / "fused.jsonl"
    done = e2v("fuse", speech, face, "--map", "face=affectnet8", "-o", out)
    assert done.returncode == 0, done.stderr
    assert b"not calibrated: face" in done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["start"], row["speaker"]) for row in rows] == [(0.0, "ann"), (2.0, "ben")]
    assert set(rows[0]["contributions"]) == {"speech", "face"}
    assert rows[1]["contributions"]["face"] == 0
    again = e2v("fuse", out)
    assert again.returncode == 0, again.stderr


def test_weights_are_fitted_and_used(tmp_path):
    rng = np.random.default_rng(0)
    lines = {"speech": [], "face": [], "truth": []}
    for number in range(60):
        label = ("sad", "happy")[number % 2]
        for name, trust in (("speech", 0.6), ("face", 0.8)):
            sad = trust if (label == "sad") == (rng.random() < trust) else 1 - trust
            lines[name].append({"start": number, "end": number + 1, "modality": name,
                                "scores": {"sad": sad, "happy": 1 - sad}})  # fmt: skip
        lines["truth"].append({"start": number, "end": number + 1, "label": label,
                               "speaker": f"s{number % 5}"})  # fmt: skip
    for name, rows in lines.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    speech, face = tmp_path / "speech.jsonl", tmp_path / "face.jsonl"
    weights = tmp_path / "weights.json"
    done = e2v("fuse", speech, face, "--fit", tmp_path / "truth.jsonl", "-o", weights)
    assert done.returncode == 0, done.stderr
    assert b"held-out speakers UA" in done.stderr
    done = e2v("fuse", speech, face, "--weights", weights)
    assert len(done.stdout.splitlines()) == 60


def test_bad_input_is_named(tmp_path):
    good = tmp_path / "good.jsonl"
    good.write_text('{"start": 0, "end": 1, "scores": {"sad": 1.0}}')
    other = tmp_path / "other.jsonl"
    other.write_text('{"start": 0, "end": 1, "scores": {"bliss": 1.0}}')
    cases = [
        ((good, tmp_path / "gone.jsonl"), b"gone.jsonl: scores cannot be read"),
        ((good, other), b"label 'bliss' does not map"),
        ((good, good), b"modality 'good' is in"),
        ((good, "--map", "good"), b"not of the form MODALITY=VALUE"),
        ((good, "--map", "good=plutchik"), b"label map 'plutchik' is not known"),
        ((good, "--weight", "good=much"), b"weight of good is 'much'"),
        ((good, "--weight", "face=1"), b"weight of 'face', which has no scores"),
        ((good, "--weight", "good=1", "--weights", good), b"give one of them"),
    ]
    for args, text in cases:
        done = e2v("fuse", *args)
        assert (done.returncode, text in done.stderr) == (2, True), (args, done.stderr)

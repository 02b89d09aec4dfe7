"""Speech for the quality gate."""

import csv
import json

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.quantize.calibration import load_calibration


def test_calibration_without_audio(tmp_path):
    with pytest.raises(OptionError, match="0 readable recordings of 0"):
        load_calibration(tmp_path)
    with pytest.raises(OptionError, match="no such manifest"):
        load_calibration(tmp_path / "gone")
    (tmp_path / "m.csv").write_text("file,emotion\n")
    with pytest.raises(OptionError, match="columns path,label"):
        load_calibration(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(OptionError):
        load_calibration(tmp_path / "m.csv")
    for index in range(9):
        (tmp_path / f"{index}.wav").write_text("no audio")
    with pytest.raises(OptionError, match="0 readable recordings of 9"):
        load_calibration(tmp_path)


def test_calibration_from_a_folder_and_a_manifest(tmp_path, example_samples):
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for index in range(12):
            soundfile.write(tmp_path / f"{index}.flac", example_samples[: 8_000 + index], 16_000)
            writer.writerow([f"{index}.flac", "sad", "train" if index == 0 else "test"])
    assert len(load_calibration(tmp_path).clips) == 12
    labelled = load_calibration(tmp_path / "m.csv")
    assert len(labelled.clips) == 11
    assert labelled.clips[0].label == "sad"
    assert len(load_calibration(tmp_path, most=10).clips) == 10


def test_calibration_takes_the_part_that_a_manifest_names(tmp_path, example_samples):
    """EmoBox names parts of files; what has no frame in it says nothing."""
    soundfile.write(tmp_path / "long.flac", example_samples, 16_000)
    (tmp_path / "label_map.json").write_text('{"s": "Sad"}')
    rows = [
        {"key": f"x-{i}", "dataset": "x", "wav": "long.flac", "emo": "s",
         "start_time": 0.2 * i, "end_time": 0.2 * i + (0.01 if i == 0 else 0.5)}
        for i in range(10)
    ]  # fmt: skip
    manifest = tmp_path / "x.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    clips = load_calibration(manifest).clips
    assert len(clips) == 9
    np.testing.assert_array_equal(clips[0].samples, example_samples[3_200:11_200])

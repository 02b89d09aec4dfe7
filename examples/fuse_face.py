"""Scores of a face in a video, from a face model of your own, as JSON lines for e2v fuse.

    pip install ".[cpu]"
    e2v recognize VIDEO --turns vad --format json -o speech.json
    LABELS=angry,disgust,fear,happy,sad,surprise,neutral
    python examples/fuse_face.py VIDEO MODEL.onnx $LABELS > face.jsonl
    e2v fuse speech.json face.jsonl --map face=fer7

MODEL takes one picture, float32 [1, channels, height, width] of 0 to 1 with 1 or 3 channels, and
gives logits. The whole picture is taken for the face: crop the video first, or put a detector
before the model here. PyAV, which the engine brings, reads the video. No torch is needed.
"""

import json
import sys
from pathlib import Path

import av
import numpy as np

from emotion2vec_edge.engine.metrics import softmax
from emotion2vec_edge.engine.runtime.session import (
    SessionConfig,
    import_onnxruntime,
    session_options,
)

THREADS = 2
SECONDS = 0.5
"""Time from one picture that is looked at to the next."""


def main(video: Path, model: Path, labels: list[str]) -> None:
    """One line of scores for each picture that is looked at."""
    session = import_onnxruntime().InferenceSession(
        str(model), session_options(SessionConfig(THREADS)), providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    _, channels, height, width = given.shape
    pixels = "gray" if channels == 1 else "rgb24"
    due = 0.0
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < due:
                continue
            due = frame.time + SECONDS
            picture = frame.reformat(width, height, pixels).to_ndarray().astype(np.float32) / 255
            batch = picture.reshape(height, width, channels).transpose(2, 0, 1)[None]
            scores = softmax(session.run(None, {given.name: batch})[0][0])
            row = {
                "modality": "face",
                "file": str(video),
                "start": round(frame.time, 3),
                "end": round(due, 3),
                "scores": dict(zip(labels, scores.tolist(), strict=True)),
            }
            print(json.dumps(row))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(","))

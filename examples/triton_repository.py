"""Recognize recordings on a Triton server that serves a repository of ``e2v triton``.

    pip install ".[cpu]" "tritonclient[http]"
    e2v triton -o repository --device gpu
    tritonserver --model-repository repository &
    python examples/triton_repository.py HOST:8000 emotion2vec_small RECORDING...

Waveforms are padded with zeros to whole seconds: requests of one shape are run together. Their
lengths in samples say where each ends, so that padding changes no answer.
"""

import sys

import numpy as np
import tritonclient.http as triton

from emotion2vec_edge.engine import load_audio

BUCKET = 16_000
"""Samples of one second."""


def request(path: str) -> list[triton.InferInput]:
    """The inputs for one recording: waveform [1, samples] and lengths [1, 1]."""
    samples = load_audio(path).samples
    padded = np.zeros((1, -(-len(samples) // BUCKET) * BUCKET), np.float32)
    padded[0, : len(samples)] = samples
    waveform = triton.InferInput("waveform", padded.shape, "FP32")
    waveform.set_data_from_numpy(padded)
    lengths = triton.InferInput("lengths", (1, 1), "INT64")
    lengths.set_data_from_numpy(np.array([[len(samples)]], np.int64))
    return [waveform, lengths]


def main(address: str, model: str, paths: list[str]) -> None:
    """Ask for all recordings at once, and print a line for each."""
    client = triton.InferenceServerClient(address, concurrency=8)
    labels = client.get_model_config(model)["parameters"]["labels"]["string_value"].split(",")
    asked = [client.async_infer(model, request(path)) for path in paths]
    for path, pending in zip(paths, asked, strict=True):
        scores = pending.get_result().as_numpy("scores")[0]
        print(f"{labels[scores.argmax()]}\t{scores.max():.2f}\t{path}")
    client.close()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

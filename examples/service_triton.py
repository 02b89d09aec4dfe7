"""Ask a running service over the KServe v2 protocol, with NVIDIA's client of Triton.

    pip install "tritonclient[http]"
    e2v serve &
    python examples/service_triton.py HOST:PORT RECORDING...

``E2V_TOKEN`` is the service's token, if it has one.
"""

import os
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton


def main(address: str, paths: list[str]) -> None:
    """Recognize all recordings in one request, and print a line for each."""
    client = triton.InferenceServerClient(address)
    token = os.environ.get("E2V_TOKEN")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    audio = triton.InferInput("audio", [len(paths)], "BYTES")
    audio.set_data_from_numpy(np.array([Path(path).read_bytes() for path in paths], object))
    outputs = [triton.InferRequestedOutput(name) for name in ("emotion", "scores")]
    answer = client.infer("emotion2vec_small", [audio], outputs=outputs, headers=headers)
    emotions, scores = answer.as_numpy("emotion"), answer.as_numpy("scores")
    for path, emotion, row in zip(paths, emotions, scores, strict=True):
        print(f"{emotion.decode()}\t{row.max():.2f}\t{path}")
    client.close()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])

"""Scores of the words of turns, from a text model of your own, as JSON lines for e2v fuse.

    pip install ".[cpu]" tokenizers
    e2v recognize call.wav --turns call.srt --format json -o speech.json
    python examples/fuse_text.py MODEL speech.json > text.jsonl
    e2v fuse speech.json text.jsonl --map text=goemotions28

MODEL is a folder with model.onnx, tokenizer.json and config.json, as exporters of text classifiers
write it. The words are those of the file of turns. No torch is needed.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from emotion2vec_edge.engine.metrics import softmax
from emotion2vec_edge.engine.runtime.session import (
    SessionConfig,
    import_onnxruntime,
    session_options,
)

THREADS = 2


def main(model: Path, speech: Path) -> None:
    """One line of scores for each turn that has words."""
    names = json.loads((model / "config.json").read_text(encoding="utf-8"))["id2label"]
    labels = [names[str(number)] for number in range(len(names))]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    session = import_onnxruntime().InferenceSession(
        str(model / "model.onnx"),
        session_options(SessionConfig(THREADS)),
        providers=["CPUExecutionProvider"],
    )
    wanted = [given.name for given in session.get_inputs()]
    result = json.loads(speech.read_text(encoding="utf-8"))
    for recording in result if isinstance(result, list) else [result]:
        for turn in recording["turns"]:
            if not turn["text"]:
                continue
            tokens = tokenizer.encode(turn["text"])
            arrays = {
                "input_ids": tokens.ids,
                "attention_mask": tokens.attention_mask,
                "token_type_ids": tokens.type_ids,
            }
            inputs = {name: np.array([arrays[name]], np.int64) for name in wanted}
            scores = softmax(session.run(None, inputs)[0][0])
            row = {
                "modality": "text",
                "file": recording["file"],
                "start": turn["start"],
                "end": turn["end"],
                "scores": dict(zip(labels, scores.tolist(), strict=True)),
            }
            print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""FunASR's own class, in eager torch."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.audio.types import Samples

from .settings import BaselineSettings, Run


def build(settings: BaselineSettings) -> Run:
    """``funasr.models.emotion2vec`` with the checkpoint's weights."""
    import torch
    import yaml
    from funasr.models.emotion2vec.model import Emotion2vec

    from emotion2vec_edge.export.checkpoint.weights import read_weights

    torch.set_num_threads(settings.threads)
    text = (settings.checkpoint / "config.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    document["model_conf"]["norm_eps"] = float(document["model_conf"]["norm_eps"])
    weights = read_weights(settings.checkpoint / "model.pt")
    model = Emotion2vec(**document, vocab_size=len(weights["proj.bias"])).eval()
    model.load_state_dict(weights)
    tokens = (settings.checkpoint / "tokens.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = types.SimpleNamespace(token_list=[token for token in tokens if token.strip()])

    def run(samples: Samples) -> NDArray[np.floating[Any]]:
        with torch.inference_mode():
            results, _ = model.inference([samples], key=["clip"], tokenizer=tokenizer, device="cpu")
        return np.array(results[0]["scores"])

    return run

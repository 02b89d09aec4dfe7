"""FunASR's own model, the oracle of the torch module and of what is made of it."""

import types
import warnings

import torch


def oracle(cls, doc, weights, tokens):
    """FunASR's model with the same weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = cls(**doc, vocab_size=len(tokens) or -1).eval()
    model.load_state_dict(weights, strict=True)
    return model


def funasr_answer(model, samples, tokens, granularity="utterance"):
    """What `generate` gives: scores by its own labels, and embeddings."""
    with torch.inference_mode():
        (result,), _ = model.inference(
            [samples], key=["x"], device="cpu", granularity=granularity, extract_embedding=True,
            tokenizer=types.SimpleNamespace(token_list=tokens),
        )  # fmt: skip
    return result

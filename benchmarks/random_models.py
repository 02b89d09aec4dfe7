"""Models of the real sizes with random weights: for speed and memory, never for accuracy."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotion2vec_edge.engine.progress import Progress

from .choices import Shape
from .models import RANDOM_WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor

    from emotion2vec_edge.export.model.config import ModelConfig

SHAPES: dict[Shape, tuple[int, int]] = {"base": (768, 12), "plus_large": (1024, 16)}
"""Name → width and heads; both have 4 + 8 blocks and the front-end of data2vec 2.0."""


def shape_config(shape: Shape) -> dict[str, Any]:
    """The document of a FunASR config.yaml for one of :data:`SHAPES`."""
    from emotion2vec_edge.export.checkpoint.config import config_document

    width, heads = SHAPES[shape]
    return config_document(embed_dim=width, heads=heads, prenet_depth=4, depth=8)


def random_weights(config: ModelConfig, outputs: int, seed: int = 0) -> dict[str, Tensor]:
    """Weights under FunASR's names: LayerNorms near 1, matrices that keep the variance.

    Args:
        config: the architecture.
        outputs: outputs of the emotion head; 0 for none.
        seed: seed of torch's generator.
    """
    import torch

    from emotion2vec_edge.export.checkpoint.names import funasr_names
    from emotion2vec_edge.export.model.emotion2vec import Emotion2vec

    generator = torch.Generator().manual_seed(seed)
    names = funasr_names(config)
    weights = {}
    for name, tensor in Emotion2vec(config, outputs).state_dict().items():
        if not tensor.numel():  # zero extra tokens have no parameter in FunASR
            continue
        value = torch.randn(tensor.shape, generator=generator)
        if "norm" in name:
            value = 0.1 * value + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("alibi_scale"):
            value = value + 0.5  # some are negative: those count as 0
        elif value.dim() > 1:
            value = value / tensor[0].numel() ** 0.5
        weights[names[name]] = value
    return weights


def write_random_checkpoint(config: dict[str, Any], folder: Path, seed: int = 0) -> None:
    """Write a FunASR checkpoint with random weights."""
    import torch

    from emotion2vec_edge.export.checkpoint.config import read_config
    from emotion2vec_edge.export.checkpoint.labels import PLUS_TOKENS

    weights = random_weights(read_config(config), len(PLUS_TOKENS), seed)
    folder.mkdir(parents=True)
    # JSON is YAML, so nothing but the standard library is needed.
    (folder / "config.yaml").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (folder / "tokens.txt").write_text("\n".join(PLUS_TOKENS) + "\n", encoding="utf-8")
    torch.save({"model": weights}, folder / "model.pt")


def make_random_bundle(
    shape: Shape, output: Path, checkpoint: Path | None, progress: Progress
) -> None:
    """Export a bundle of one of :data:`SHAPES` with random weights.

    Args:
        shape: the model's size.
        output: folder of the new bundle.
        checkpoint: folder that keeps the checkpoint, for the baselines; None keeps none.
        progress: receives the name of each step.
    """
    from emotion2vec_edge.export.exporter import ExportSettings, export_bundle
    from emotion2vec_edge.export.hub import resolve

    with tempfile.TemporaryDirectory() as temporary:
        folder = checkpoint or Path(temporary) / f"{shape}_random"
        progress("drawing the weights")
        write_random_checkpoint(shape_config(shape), folder)
        settings = ExportSettings(output, name=f"{shape}_random", licence=RANDOM_WEIGHTS)
        export_bundle(resolve(str(folder), offline=True), settings, progress)

"""A FunASR checkpoint with seeded random weights in a given architecture.

Random weights show speed, size, memory and parity. They show nothing about accuracy::

    python -m emotion2vec_edge.benchmarks.random_checkpoint CONFIG.yaml TOKENS.txt -o FOLDER
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import torch
import yaml
from torch import Tensor

from emotion2vec_edge.export.checkpoint import funasr_names
from emotion2vec_edge.export.config import ModelConfig, read_config
from emotion2vec_edge.export.model import Emotion2vec


def random_weights(config: ModelConfig, outputs: int, seed: int = 0) -> dict[str, Tensor]:
    """Weights under FunASR's names: LayerNorms near 1, matrices that keep the variance.

    Args:
        config: the architecture.
        outputs: outputs of the emotion head; 0 for none.
        seed: of torch's generator.
    """
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


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("tokens", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option("--seed", default=0, show_default=True, help="Of the weights.")
def main(config: Path, tokens: Path, output: Path, seed: int) -> None:
    """Fill the architecture of a config.yaml with random weights."""
    architecture = read_config(yaml.safe_load(config.read_text(encoding="utf-8")))
    outputs = len(tokens.read_text(encoding="utf-8").split())
    weights = random_weights(architecture, outputs, seed)
    output.mkdir(parents=True)
    shutil.copy(config, output / "config.yaml")
    shutil.copy(tokens, output / "tokens.txt")
    torch.save({"model": weights}, output / "model.pt")
    count = sum(tensor.numel() for tensor in weights.values())
    click.echo(f"{output}: {count:,} random weights")


if __name__ == "__main__":
    main()

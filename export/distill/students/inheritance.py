"""A student that begins as the first blocks of its teacher, a Whisper.

The blocks of Whisper normalise before each half and add to a stream that is never normalised,
those of emotion2vec normalise the stream behind each half. With x the normalised stream and w the
width of what was normalised away, ``LayerNorm(w·x + f(x)) = LayerNorm(x + f(x) / w)``: so a block
of Whisper becomes one of emotion2vec, exactly where w is the same for all frames, and with its
median nearly so in the first two thirds of the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion2vec_edge.engine.errors import OptionError

from ...checkpoint.config import read_config
from ...finetune.training.initialization import new_model
from ...model.alibi import alibi_slopes
from ...model.config import ModelConfig
from ...model.emotion2vec import Emotion2vec
from ...model.layers import Block
from ..teachers.base import Teacher
from ..teachers.blockwise import BlockwiseWhisper
from ..teachers.whisper import WhisperTeacher
from ..teachers.whisper_encoder import EncoderLayer, WhisperConfig
from .beginning import Beginning


@dataclass(frozen=True)
class Inheritance:
    """The blocks of a teacher, for a student to begin with, or students that began so before."""

    teacher: BlockwiseWhisper
    heirs: Beginning = field(default_factory=Beginning)

    @property
    def checksum(self) -> str:
        """Checksum of what the student begins with."""
        return self.heirs.checksum or self.teacher.key

    def model(self, document: dict[str, Any], labels: int, seed: int) -> Emotion2vec:
        """A model with the weights of the heirs or, without any, the teacher's first blocks.

        Then it has the teacher's head too, and its front-end is new.
        """
        if self.heirs.students:
            return self.heirs.model(document, labels, seed)
        model = new_model(document, labels, seed)
        encoder, whisper = model.encoder, self.teacher.model
        blocks = encoder.every_block
        layers = [cast("EncoderLayer", layer) for layer in whisper.encoder.layers][: len(blocks)]
        states = self._states()
        with torch.no_grad():
            reaches = [_reaches(layer, state) for layer, state in zip(layers, states, strict=False)]
            for block, layer, state, reach in zip(blocks, layers, states, reaches, strict=False):
                _inherit(block, layer, state, reach.argsort())
            farthest = float(_distances(states[0].shape[1]).mean())
            nearest_first = torch.stack([reach.sort().values for reach in reaches])
            _set_alibi(encoder.alibi_scale, nearest_first, farthest)
            if encoder.head is not None and whisper.head is not None:
                encoder.head.load_state_dict(whisper.head.state_dict())
        return model

    def _states(self) -> list[Tensor]:
        """Input of each of the teacher's blocks without the places: [batch, frames, dim]."""
        states = self.teacher.states(self.teacher.sample)
        return [self.teacher.placeless(layer, state).cpu() for layer, state in enumerate(states)]


def inherit(
    shape: str, document: dict[str, Any], teachers: Sequence[Teacher], heirs: Beginning,
    speech: Sequence[NDArray[np.int16]], device: torch.device,
) -> Inheritance:  # fmt: skip
    """Measure the teacher for a student that begins with its blocks.

    Args:
        shape: name of the student's architecture.
        document: content of its ``config.yaml``.
        teachers: one Whisper.
        heirs: students to go on with.
        speech: clips that it is measured on, int16 [samples].
        device: where it runs.

    Raises:
        OptionError: the student cannot inherit from it.
    """
    whisper = check_heir(shape, document, teachers)
    return Inheritance(BlockwiseWhisper(whisper, speech, device), heirs)


def check_heir(shape: str, document: dict[str, Any], teachers: Sequence[Teacher]) -> WhisperTeacher:
    """The teacher that a student of this architecture can inherit from.

    Raises:
        OptionError: there is none.
    """
    teacher = teachers[0]
    if len(teachers) > 1 or not isinstance(teacher, WhisperTeacher):
        raise OptionError(
            "--inherit is for a single Whisper; go on with an emotion2vec by --student"
        )
    problem = _problem(read_config(document), teacher.model.encoder.config)
    if problem:
        raise OptionError(f"--shape {shape} cannot inherit from {teacher.name}: {problem}")
    return teacher


def _problem(own: ModelConfig, whisper: WhisperConfig) -> str | None:
    """Reason for which a student has no use for a Whisper's blocks; None if it has."""
    depth = own.prenet_depth + own.depth
    if own.layer_norm_first or not own.norm_affine or not own.use_alibi:
        return "its blocks do not normalise last, with weights and ALiBi, as those of wide do"
    if own.alibi_scale_per_layer or not own.alibi_scale_per_head:
        return "its ALiBi has no scale for each head, shared by all blocks"
    for name, has, wanted in (
        ("embed_dim", own.embed_dim, whisper.d_model),
        ("num_heads", own.num_heads, whisper.encoder_attention_heads),
        ("num_alibi_heads", own.num_alibi_heads, whisper.encoder_attention_heads),
        ("the width of its MLP", own.mlp_dim, whisper.encoder_ffn_dim),
    ):
        if has != wanted:
            return f"{name} is {has}, and the teacher has {wanted}"
    if depth > whisper.encoder_layers:
        return f"it has {depth} blocks, and the teacher has {whisper.encoder_layers}"
    return None


def _inherit(block: Block, layer: EncoderLayer, state: Tensor, order: Tensor) -> None:
    """Give a block the weights of a Whisper's.

    Args:
        block: the student's.
        layer: the teacher's.
        state: its input, [batch, frames, dim].
        order: its heads in the order in which the student shall have them.
    """
    everywhere = torch.ones(1, 1, 1, state.shape[1], dtype=torch.bool)
    behind = state + layer.self_attn(layer.self_attn_layer_norm(state), everywhere)
    attention, norm = layer.self_attn, layer.self_attn_layer_norm
    rows = torch.arange(state.shape[-1]).view(len(order), -1)[order].flatten()
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    weights, biases = zip(*(_behind_norm(part, norm) for part in parts), strict=True)
    block.attn.qkv.weight.copy_(torch.cat([weight[rows] for weight in weights]))
    block.attn.qkv.bias.copy_(torch.cat([bias[rows] for bias in biases]))
    width = _width(state)
    block.attn.proj.weight.copy_(attention.out_proj.weight[:, rows] / width)
    block.attn.proj.bias.copy_(attention.out_proj.bias / width)
    weight, bias = _behind_norm(layer.fc1, layer.final_layer_norm)
    block.fc1.weight.copy_(weight)
    block.fc1.bias.copy_(bias)
    width = _width(behind)
    block.fc2.weight.copy_(layer.fc2.weight / width)
    block.fc2.bias.copy_(layer.fc2.bias / width)


def _behind_norm(linear: nn.Linear, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer that takes over the weights of the LayerNorm before it."""
    bias = linear.weight @ norm.bias
    return linear.weight * norm.weight, bias if linear.bias is None else bias + linear.bias


def _width(state: Tensor) -> float:
    """Median of the standard deviations of the frames."""
    return float(state.std(dim=-1, unbiased=False).median())


def _reaches(layer: EncoderLayer, state: Tensor) -> Tensor:
    """Mean distance, in frames, at which each head of a layer looks: [heads]."""
    attention, normalized = layer.self_attn, layer.self_attn_layer_norm(state)
    query, key = (
        project(normalized).unflatten(-1, (attention.heads, -1)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj)
    )
    looks = ((query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5).softmax(dim=-1)
    reaches: Tensor = (looks * _distances(state.shape[1])).sum(dim=-1).mean(dim=(0, 2))
    return reaches


def _distances(frames: int) -> Tensor:
    """Distance between any two frames: float32 [frames, frames]."""
    place = torch.arange(frames, dtype=torch.float32)
    return (place[:, None] - place).abs()


def _set_alibi(scales: Tensor, reaches: Tensor, farthest: float) -> None:
    """Let ALiBi hold the heads as near as they looked.

    A bias of −a·|d| alone looks 1/a frames far.

    Args:
        scales: the parameter, [1, 1, heads, 1, 1].
        reaches: of each block's heads in ascending order, [blocks, heads].
        farthest: the reach of a head that looks everywhere alike.
    """
    slopes = torch.tensor(alibi_slopes(reaches.shape[1]))
    wanted = (1 / reaches - 1 / farthest).clamp_min(0).mean(dim=0)
    scales.copy_((wanted / slopes).clamp_min(0.05).view_as(scales))

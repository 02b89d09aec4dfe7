"""A Whisper encoder as a teacher: the hidden states of its later layers, and a head once tuned.

The later half of the layers tells emotion best. Each is layer-normalised without learned weights,
so that none outweighs another, and the head of a tuned teacher is linear in the mean of the layers
and frames: its answer to a part of a clip comes from the mean of the part's frames.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.errors import CheckpointError, MissingExtraError, OptionError
from emotion2vec_edge.engine.fields import Fields, read_json
from emotion2vec_edge.engine.files import printable, read_regular, write_file

from ...checkpoint.labels import parse_label
from ...model.padding import within
from .base import FRAMES, Teacher
from .whisper_encoder import WhisperConfig, WhisperEncoder

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
LICENCE = "LICENSE"
MOST_LICENCE = 1 << 20
"""Bytes of a licence."""
ENCODER = "encoder."
"""Part of a tensor's name before the names of the encoder."""
HEAD = "emotion_head."
EMOTION = "emotion"
"""Field of a tuned teacher's ``config.json``."""

PEAK = 0.5
"""Largest sample of a clip that Whisper hears."""
SHIFT = 120
"""Samples of silence in front, which bring Whisper's frames to those of emotion2vec."""
FIRST = 1
"""The frame of Whisper at which the first one of emotion2vec lies."""
ROOM = 5
"""Frames of silence behind a clip; Whisper expects silence up to 30 s, and needs no more."""

MOST = {
    "d_model": 8_192, "encoder_layers": 128, "encoder_attention_heads": 256,
    "encoder_ffn_dim": 65_536, "num_mel_bins": 512, "max_source_positions": 10_000,
}  # fmt: skip
"""Field of ``config.json`` → largest value that is accepted."""


class WhisperModel(nn.Module):
    """An encoder, the layers that are taught, and the head of a tuned teacher."""

    def __init__(self, config: WhisperConfig, layers: Sequence[int], labels: int) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.encoder = WhisperEncoder(config)
        self.head = nn.Linear(config.d_model, labels) if labels else None

    def states(self, waves: Tensor, lengths: Tensor) -> list[Tensor]:
        """Hidden states before the first layer and behind each: float32 [batch, frames, dim] each.

        Arguments as those of :meth:`Teacher.rows`.
        """
        counts = torch.div(lengths - FRAMES.receptive_field, FRAMES.hop, rounding_mode="floor") + 1
        # One frame more than attention sees: the convolutions of the last look beyond it.
        frames = int(counts.max()) + FIRST + ROOM + 1
        waves = waves * within(lengths, waves.shape[1])
        waves = waves * (PEAK / waves.abs().amax(dim=1, keepdim=True).clamp_min(1e-6))
        waves = F.pad(waves, (SHIFT, frames * FRAMES.hop - SHIFT - waves.shape[1]))
        states = self.encoder(waves, within(counts + FIRST + ROOM, frames))
        return [state[:, FIRST : FIRST + int(counts.max())].float() for state in states]

    def picked(self, states: Sequence[Tensor]) -> Tensor:
        """The taught layers among the states, layer-normalised: [batch, frames, layers, dim]."""
        picked = torch.stack([states[layer] for layer in self.layers], dim=2)
        return F.layer_norm(picked, picked.shape[-1:])

    def frames(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Layer-normalised hidden states: [batch, frames, layers, dim]; see :class:`Teacher`."""
        return self.picked(self.states(waves, lengths))

    def answers(self, means: Tensor) -> Tensor:
        """Logits from mean frames: [batch, layers, dim] → [batch, labels]."""
        if self.head is None:
            raise TypeError("a Whisper without a head gives no answers")
        logits: Tensor = self.head(means.mean(dim=1))
        return logits

    def forward(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Logits of clips; arguments as :meth:`Teacher.rows`."""
        frames = self.frames(waves, lengths)
        counts = torch.div(lengths - FRAMES.receptive_field, FRAMES.hop, rounding_mode="floor") + 1
        inside = within(counts, frames.shape[1])[:, :, None, None]
        return self.answers((frames * inside).sum(dim=1) / counts[:, None, None])


@dataclass(frozen=True)
class Tuning:
    """Facts of a tuned teacher, in its ``config.json``."""

    labels: tuple[str, ...]
    """Lines of ``tokens.txt`` in the order of the head's outputs."""
    layers: tuple[int, ...]
    tuned_from: str
    """Checksum of the weights that the tuning began with."""


class WhisperTeacher(Teacher):
    """A Whisper encoder in Hugging Face's format."""

    def __init__(
        self, folder: Path, name: str, sha256: str, model: WhisperModel, tuning: Tuning | None
    ) -> None:
        self.folder, self.name, self.sha256 = folder, name, sha256
        self.licence = licence_beside(folder)
        self.model, self.tuning = model, tuning
        self.layers, self.dim = len(model.layers), model.encoder.config.d_model
        self.labels = tuple(map(parse_label, tuning.labels if tuning else ()))

    @property
    def layers_text(self) -> str:
        """The taught layers, for people."""
        return f"layers {', '.join(map(str, self.model.layers))}"

    def rows(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """See :meth:`Teacher.rows`."""
        return self.model.frames(waves, lengths).flatten(2)

    def answers(self, means: Tensor) -> Tensor:
        """See :meth:`Teacher.answers`."""
        return self.model.answers(self.taught(means))


def load_whisper(
    folder: Path, name: str, layers: Sequence[int] | None, device: torch.device
) -> WhisperTeacher:
    """Read a Whisper encoder: ``config.json`` and ``model.safetensors``.

    Args:
        folder: its folder; a decoder in the file is not read.
        name: its name, for the card.
        layers: the layers to teach, from 0 (before the first) to their number; None takes those
            of a tuned teacher, else the later half.
        device: where it runs.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights do not fit the config.
        OptionError: a layer that it does not have.
        MissingExtraError: safetensors is not installed.
    """
    fields = read_json(folder / CONFIG, CheckpointError)
    if fields.values.get("model_type") != "whisper":
        raise CheckpointError(
            f"{printable(str(folder / CONFIG))}: model_type is "
            f"{fields.values.get('model_type')!r}; a teacher in this format is a whisper"
        )
    config = WhisperConfig(**{key: fields.integer(key, most=most) for key, most in MOST.items()})
    if config.d_model % config.encoder_attention_heads:
        raise CheckpointError(
            f"{printable(str(folder / CONFIG))}: d_model {config.d_model} is not a multiple of "
            f"encoder_attention_heads {config.encoder_attention_heads}"
        )
    tuning = fields.record(EMOTION, _tuning) if fields.has(EMOTION) else None
    picked = _layers(config, layers, tuning)
    labels = len(tuning.labels) if tuning else 0
    path = folder / WEIGHTS
    weights = _read(path)
    with torch.device("meta"):  # no memory before the file is known to fill it
        _check(WhisperModel(config, picked, labels), weights, path)
    model = WhisperModel(config, picked, labels)
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return WhisperTeacher(folder, name, sha256_of(path), model.eval().to(device), tuning)


def _tuning(fields: Fields) -> Tuning:
    layers = fields.text("layers", pattern=r"\d{1,3}(,\d{1,3})*", allowed="numbers, such as 3,4")
    return Tuning(
        fields.texts("labels", least=2, most=1_000),
        tuple(map(int, layers.split(","))),
        fields.text("tuned_from", most=64),
    )


def _layers(
    config: WhisperConfig, layers: Sequence[int] | None, tuning: Tuning | None
) -> tuple[int, ...]:
    last = config.encoder_layers
    if layers is None:
        layers = tuning.layers if tuning else tuple(range((last + 1) // 2, last + 1))
    wrong = [layer for layer in layers if not 0 <= layer <= last]
    if wrong or not layers or len(set(layers)) < len(layers):
        raise OptionError(
            f"teacher layers {', '.join(map(str, layers)) or '(none)'}; give different numbers "
            f"from 0 to {last}"
        )
    if tuning and tuple(layers) != tuning.layers:
        raise OptionError(
            f"this teacher was tuned with layers {', '.join(map(str, tuning.layers))}; its answers "
            "need those"
        )
    return tuple(layers)


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of the encoder and the head under this module's names."""
    try:
        import safetensors
    except ImportError:
        raise MissingExtraError(
            "a Whisper teacher needs safetensors: pip install 'emotion2vec-edge[export]'"
        ) from None
    if not path.is_file():
        raise CheckpointError(f"{printable(str(path))}: missing; a Whisper teacher has this file")
    weights = {}
    try:
        with safetensors.safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                _, found, inner = f".{name}".partition(f".{ENCODER}")
                if found:
                    weights[f"encoder.{inner}"] = file.get_tensor(name).float()
                elif name.startswith(HEAD):
                    weights[f"head.{name.removeprefix(HEAD)}"] = file.get_tensor(name).float()
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{printable(str(path))}: not readable as safetensors: {error}"
        ) from None
    return weights


def _check(model: WhisperModel, weights: dict[str, Tensor], path: Path) -> None:
    for name, tensor in model.state_dict().items():
        found = weights.get(name)
        if found is None or found.shape != tensor.shape:
            state = "missing" if found is None else f"of shape {list(found.shape)}"
            raise CheckpointError(
                f"{printable(str(path))}: {name} is {state}; {CONFIG} asks for {list(tensor.shape)}"
            )
        if not found.isfinite().all():
            raise CheckpointError(f"{printable(str(path))}: {name} holds NaN or infinite values")


def licence_beside(folder: Path) -> str | None:
    """First line of a ``LICENSE`` in the folder; None if there is none."""
    path = folder / LICENCE
    if not path.is_file():
        return None
    lines = read_regular(path, MOST_LICENCE).decode("utf-8", "replace").splitlines()
    return next((line.strip(" :\t")[:200] for line in lines if line.strip(" :\t")), None)


def save_tuned(folder: Path, model: WhisperModel, tuning: Tuning, origin: Path) -> None:
    """Write a tuned teacher, which :func:`load_whisper` reads.

    Args:
        folder: an existing folder.
        model: the weights.
        tuning: its facts.
        origin: folder of the teacher that it began as; its licence is copied.

    Raises:
        OutputError: the disk fails.
    """
    from safetensors.torch import save

    weights = {}
    for name, tensor in model.state_dict().items():
        kept = name.removeprefix("head.")
        weights[name if kept == name else HEAD + kept] = tensor.detach().cpu().contiguous()
    emotion: dict[str, Any] = {
        "labels": list(tuning.labels),
        "layers": ",".join(map(str, tuning.layers)),
        "tuned_from": tuning.tuned_from,
    }
    config = {"model_type": "whisper", **model.encoder.config.as_dict(), EMOTION: emotion}
    if (origin / LICENCE).is_file():
        write_file(folder / LICENCE, read_regular(origin / LICENCE, MOST_LICENCE))
    write_file(folder / WEIGHTS, save(weights))
    # Last: a folder with it is a whole teacher.
    write_file(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())

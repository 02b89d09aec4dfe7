"""The teacher hears all clips once, at a few speeds; its rows go into the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion2vec_edge.engine.errors import NonFiniteError
from emotion2vec_edge.engine.progress import Progress, no_progress

from ...finetune.embeddings import padded
from ...finetune.training.augmentation import resampled
from ...interrupts import Interrupts
from ..teachers.base import FRAMES, FRAMES_A_SECOND, Teacher
from .cache import ClipAtSpeed, RowCache, amount

BATCH_SECONDS = 60.0
"""Seconds of audio, with its padding, that a teacher hears at once on a processor."""
GPU_BATCHES = 10
"""Multiple of :data:`BATCH_SECONDS` that a GPU hears at once."""


def at_speed(wave: NDArray[np.int16], speed: float) -> NDArray[np.float32]:
    """The clip, played faster by a factor: float32 [samples]."""
    samples = (wave / 32768).astype(np.float32)
    return samples if speed == 1 else resampled(samples, speed)


def rows_of(
    teacher: Teacher,
    waves: Sequence[NDArray[np.float32]],
    device: torch.device,
    *,
    bfloat16: bool,
) -> Tensor:
    """Rows of clips, [samples] each, as :meth:`~..teachers.base.Teacher.rows` gives them."""
    batch, lengths = padded(waves)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        return teacher.rows(batch.to(device), lengths.to(device)).float()


def listen(
    teacher: Teacher,
    cache: RowCache,
    wanted: Mapping[ClipAtSpeed, NDArray[np.int16]],
    device: torch.device,
    *,
    bfloat16: bool = False,
    progress: Progress = no_progress,
    tell: Callable[[str], object] = lambda _: None,
) -> None:
    """Compute the rows that the cache lacks.

    Args:
        teacher: hears the clips.
        cache: its cache.
        wanted: the sound of each clip, int16 [samples] at 16 kHz, at each speed.
        device: where the teacher runs.
        bfloat16: compute in bfloat16, as far as torch's autocast does.
        progress: receives the seconds of audio that are done.
        tell: receives the size of the cache before the work begins.

    Raises:
        OutputError: the disk has no room, or fails.
        NonFiniteError: the teacher gave values that float16 cannot hold.
        KeyboardInterrupt: Ctrl-C or SIGTERM; what is done is kept.
    """
    frames = {
        clip: FRAMES.frame_count(round(len(wave) / clip.speed)) for clip, wave in wanted.items()
    }
    missing = sum(count for clip, count in frames.items() if clip not in cache)
    if not missing:
        return
    total = sum(frames.values())
    tell(
        f"frames of {teacher.name} ({teacher.layers_text}, {teacher.dim} wide): "
        f"{amount(cache.bytes_for(total))} in {cache.folder}, of which "
        f"{amount(cache.bytes_for(missing))} are still to be computed"
    )
    cache.check_room(missing)
    done = 0
    seconds = BATCH_SECONDS * (1 if device.type == "cpu" else GPU_BATCHES)
    with cache.filling() as filling, Interrupts().noted() as interrupts:
        # The batches depend on all clips, also on those that are there: a run that was killed gets
        # the same bits as one that was not.
        for batch in _batches(frames, seconds):
            new = [clip for clip in batch if clip not in cache]
            if new:
                sounds = [at_speed(wanted[clip], clip.speed) for clip in batch]
                heard = _heard(teacher, sounds, device, bfloat16=bfloat16)
                rows = dict(zip(batch, heard, strict=True))
                filling.add(new, [rows[clip] for clip in new])
            done += sum(frames[clip] for clip in batch)
            progress("teacher", done / FRAMES_A_SECOND, total / FRAMES_A_SECOND)
            interrupts.check()


def means_of(
    teacher: Teacher, waves: Sequence[NDArray[np.int16]], device: torch.device
) -> NDArray[np.float32]:
    """Means of the rows of whole clips, int16 [samples] each: float32 [clips, width]."""
    means = np.zeros((len(waves), teacher.width), np.float32)
    frames = {
        ClipAtSpeed(str(number), 1.0): FRAMES.frame_count(len(wave))
        for number, wave in enumerate(waves)
    }
    for batch in _batches(frames, BATCH_SECONDS):
        numbers = [int(clip.clip) for clip in batch]
        sounds = [at_speed(waves[number], 1.0) for number in numbers]
        heard = _heard(teacher, sounds, device, bfloat16=False)
        means[numbers] = [rows.mean(axis=0, dtype=np.float32) for rows in heard]
    return means


def _batches(frames: Mapping[ClipAtSpeed, int], seconds: float) -> Iterator[list[ClipAtSpeed]]:
    """Clips of about one length, each batch of at most so many seconds, the longest first."""
    batch: list[ClipAtSpeed] = []
    for clip in sorted(frames, key=lambda clip: (-frames[clip], clip)):
        if batch and (len(batch) + 1) * frames[batch[0]] > FRAMES_A_SECOND * seconds:
            yield batch
            batch = []
        batch.append(clip)
    if batch:
        yield batch


def _heard(
    teacher: Teacher,
    waves: Sequence[NDArray[np.float32]],
    device: torch.device,
    *,
    bfloat16: bool,
) -> list[NDArray[np.float16]]:
    heard = rows_of(teacher, waves, device, bfloat16=bfloat16).cpu().numpy()
    with np.errstate(over="ignore"):  # it becomes infinite, which is refused
        rows = heard.astype(np.float16)
    if not np.isfinite(rows).all():
        raise NonFiniteError(f"{teacher.name}: gave NaN, infinite or huge values for finite audio")
    return [part[: FRAMES.frame_count(len(wave))] for part, wave in zip(rows, waves, strict=True)]

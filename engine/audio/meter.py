"""Statistics of a recording that need no model, and warnings that follow from them.

A :class:`Meter` takes block after block; its memory does not grow with the recording, except for
the outline that plots draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .types import SAMPLE_RATE, Samples

WarningCode = Literal[
    "short",
    "long",
    "silent",
    "clipped",
    "noisy",
    "cut",
    "incomplete",
    "provider",
    "overlap",
    "no speech",
    "unchecked",
]
"""Kind of a warning. ``provider``: another provider than the one asked for did part of the work;
``overlap``: somebody else speaks in the same turn; ``unchecked``: no detector of speech is
installed, so that turns of noise have an emotion too."""

SHORT_SECONDS = 1.0
LONG_SECONDS = 30.0
SILENT_DBFS = -60.0
"""Root mean square of the whole recording, relative to a constant at full scale."""
CLIPPED_LEVEL = 0.999
CLIPPED_RUN = 3
"""Least samples of a flat top; a lone peak at full scale is not clipping."""
CLIPPED_SHARE = 0.001
NOISY_DB = 20.0

POWER_WIDTH = SAMPLE_RATE // 40
"""Samples of one frame whose power is measured."""
POWER_STEP = SAMPLE_RATE // 100
"""Samples from one such frame to the next."""
POWER_PART = math.gcd(POWER_WIDTH, POWER_STEP)
"""Samples of the parts that frames are made of, so that none is summed twice."""
POWER_FLOOR_DB, POWER_BINS_PER_DB = -150, 10
POWER_BINS = 250 * POWER_BINS_PER_DB
"""Bins of the histogram of power, from the floor up to +100 dB."""
OUTLINE_SECONDS = 0.02
"""Seconds of one column of a waveform's outline."""
OUTLINE_STEP = round(OUTLINE_SECONDS * SAMPLE_RATE)


class Meter:
    """Statistics of a recording at 16 kHz mono, which is given in blocks of any length."""

    def __init__(self) -> None:
        self.count = 0
        """Samples so far."""
        self._sum = 0.0
        self._squares = 0.0
        self._clipped = 0
        """Samples in flat tops."""
        self._run = 0
        """Samples of a flat top that may go on in the next block, at most ``CLIPPED_RUN``."""
        self._bins = np.zeros((2, POWER_BINS))
        """Histogram of the power of frames: their number, and the sum of their power."""
        self._power_tail = np.zeros(0, np.float32)
        """Samples that no frame has begun with yet."""
        self._outline: list[NDArray[np.float32]] = []
        self._outline_tail = np.zeros(0, np.float32)
        """Samples of the column that is not complete."""

    def add(self, block: Samples) -> None:
        """Take the next block: float32 [samples]."""
        self.count += len(block)
        exact = block.astype(np.float64)
        self._sum += float(exact.sum())
        # Not numpy's dot product, which keeps a thread for each processor, all of them spinning.
        self._squares += float(np.einsum("i,i->", exact, exact))
        self._count_clipped(block)
        self._add_power(block)
        samples = np.concatenate([self._outline_tail, block])
        columns = len(samples) // OUTLINE_STEP
        whole = samples[: columns * OUTLINE_STEP].reshape(columns, OUTLINE_STEP)
        self._outline.append(np.stack([whole.min(axis=1), whole.max(axis=1)], axis=1))
        self._outline_tail = samples[columns * OUTLINE_STEP :]

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self.count / SAMPLE_RATE

    @property
    def mean(self) -> float:
        """Mean of the samples."""
        return self._sum / self.count

    @property
    def variance(self) -> float:
        """Biased variance of the samples."""
        return max(0.0, self._squares / self.count - self.mean**2)

    @property
    def level_dbfs(self) -> float:
        """Root mean square in dB relative to full scale; −inf for digital silence."""
        power = self._squares / self.count
        return 10 * math.log10(power) if power > 0 else -math.inf

    @property
    def clipped_share(self) -> float:
        """Share of the samples that are in flat tops at full scale, 0 to 1."""
        return self._clipped / self.count

    @property
    def outline(self) -> NDArray[np.float32]:
        """Lowest and highest sample of every 20 ms: float32 [columns, 2]."""
        return np.concatenate([np.zeros((0, 2), np.float32), *self._outline])

    def snr(self) -> float | None:
        """Signal-to-noise ratio in dB, at most 100, from the pauses of the recording itself.

        Of the power of 25 ms frames every 10 ms, the 5th percentile is taken as the noise (speech
        pauses that often), and the mean of the frames over the median as speech with noise. None
        under ``SHORT_SECONDS``, where there may be no pause to measure.
        """
        if self.seconds < SHORT_SECONDS:
            return None
        counts, sums = self._bins
        ranks = np.cumsum(counts)
        low, middle = np.searchsorted(ranks, 1 + np.array([0.05, 0.5]) * (ranks[-1] - 1))
        noise = sums[low] / counts[low]
        speech = sums[middle:].sum() / counts[middle:].sum()
        if noise <= 1e-10 * speech:
            return 100.0
        return float(10 * np.log10(max(speech - noise, 1e-10 * noise) / noise))

    def warnings(self) -> tuple[AudioWarning, ...]:
        """Reasons why a result for this recording is less certain."""
        warnings = []
        if self.seconds < SHORT_SECONDS:
            message = (
                f"{self.seconds:.2f} s of audio; emotions are unreliable under {SHORT_SECONDS:g} s"
            )
            warnings.append(AudioWarning("short", message))
        if self.seconds > LONG_SECONDS:
            message = (
                f"{self.seconds:.0f} s of audio; one emotion for more than {LONG_SECONDS:g} s says "
                "little, look at the timeline (--granularity frame)"
            )
            warnings.append(AudioWarning("long", message))
        if self.level_dbfs < SILENT_DBFS:
            message = (
                f"level is {self.level_dbfs:.0f} dBFS, near silence; check the microphone or the "
                "channel"
            )
            return (*warnings, AudioWarning("silent", message))
        if self.clipped_share > CLIPPED_SHARE:
            message = (
                f"{100 * self.clipped_share:.1f} % of the samples are clipped; lower the recording "
                "level"
            )
            warnings.append(AudioWarning("clipped", message))
        snr = self.snr()
        if snr is not None and snr < NOISY_DB:
            message = f"estimated SNR is {snr:.0f} dB; under {NOISY_DB:g} dB noise hides emotion"
            warnings.append(AudioWarning("noisy", message))
        return tuple(warnings)

    def _count_clipped(self, block: Samples) -> None:
        high = np.abs(block) >= CLIPPED_LEVEL
        if not self._run and not high.any():
            return
        # A flat top may have begun in the block before: its last samples go in front of this one.
        high = np.concatenate([np.ones(self._run, np.bool_), high])
        edges = np.flatnonzero(np.diff(np.concatenate([[0], high.view(np.int8), [0]])))
        lengths = edges[1::2] - edges[::2]
        self._clipped += int(lengths[lengths >= CLIPPED_RUN].sum())
        if self._run == CLIPPED_RUN:  # they were counted with their own block
            self._clipped -= CLIPPED_RUN
        self._run = min(CLIPPED_RUN, int(lengths[-1])) if high[-1] else 0

    def _add_power(self, block: Samples) -> None:
        samples = np.concatenate([self._power_tail, block])
        count = max(0, 1 + (len(samples) - POWER_WIDTH) // POWER_STEP)
        self._power_tail = samples[count * POWER_STEP :]
        if not count:
            return
        parts = samples[: (count - 1) * POWER_STEP + POWER_WIDTH].reshape(-1, POWER_PART)
        energies = np.einsum("ij,ij->i", parts, parts, dtype=np.float64)
        apart = POWER_STEP // POWER_PART
        power = np.zeros(count)
        for part in range(POWER_WIDTH // POWER_PART):
            power += energies[part : part + (count - 1) * apart + 1 : apart]
        power /= POWER_WIDTH
        step = (10 * np.log10(power + 1e-30) - POWER_FLOOR_DB) * POWER_BINS_PER_DB
        index = np.clip(step.astype(np.int64), 0, POWER_BINS - 1)
        self._bins[0] += np.bincount(index, minlength=POWER_BINS)
        self._bins[1] += np.bincount(index, weights=power, minlength=POWER_BINS)


@dataclass(frozen=True)
class AudioWarning:
    """A reason why the result for a recording is less certain."""

    code: WarningCode
    message: str
    """The measured value, and advice."""

"""What can be heard of a recording before any model runs: its statistics, and warnings to act on.

A :class:`Meter` listens block by block, and what it remembers does not grow with the recording
(but for the outline that plots draw).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .types import SAMPLE_RATE, Samples

SHORT_SECONDS = 1.0
LONG_SECONDS = 30.0
SILENT_DBFS = -60.0
"""Root mean square of the whole clip, relative to a full-scale constant."""
CLIPPED_LEVEL = 0.999
CLIPPED_RUN = 3
"""A flat top is at least this many samples long; a lone peak at full scale is not clipping."""
CLIPPED_SHARE = 0.001
NOISY_DB = 20.0

POWER_WIDTH = SAMPLE_RATE // 40
POWER_STEP = SAMPLE_RATE // 100
POWER_PART = math.gcd(POWER_WIDTH, POWER_STEP)
POWER_FLOOR_DB, POWER_BINS_PER_DB = -150, 10
POWER_BINS = 250 * POWER_BINS_PER_DB
OUTLINE_SECONDS = 0.02
"""One column of a waveform's outline."""
OUTLINE_STEP = round(OUTLINE_SECONDS * SAMPLE_RATE)


class Meter:
    """Statistics of a recording: feed it blocks, float32 [samples], 16 kHz mono."""

    def __init__(self) -> None:
        self.count = 0
        """Samples heard."""
        self._sum = 0.0
        self._squares = 0.0
        self._clipped = 0
        self._run = 0
        self._tail = np.zeros(0, np.float32)
        self._bins = np.zeros((2, POWER_BINS))  # of frames in each step of power: count, sum
        self._outline: list[NDArray[np.float32]] = []
        self._outline_tail = np.zeros(0, np.float32)

    def add(self, block: Samples) -> None:
        """Listen to the next block."""
        self.count += len(block)
        self._sum += float(block.sum(dtype=np.float64))
        self._squares += float(np.square(block, dtype=np.float64).sum())
        self._count_clipped(block)
        self._add_power(block)
        samples = np.concatenate([self._outline_tail, block])
        columns = len(samples) // OUTLINE_STEP
        whole = samples[: columns * OUTLINE_STEP].reshape(columns, OUTLINE_STEP)
        self._outline.append(np.stack([whole.min(axis=1), whole.max(axis=1)], axis=1))
        self._outline_tail = samples[columns * OUTLINE_STEP :]

    @property
    def seconds(self) -> float:
        """Length of what was heard."""
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
        """Root mean square level in dB relative to full scale; −inf for digital silence."""
        power = self._squares / self.count
        return 10 * math.log10(power) if power > 0 else -math.inf

    @property
    def clipped_share(self) -> float:
        """Share of the samples that lie in flat tops at full scale."""
        return self._clipped / self.count

    @property
    def outline(self) -> NDArray[np.float32]:
        """Lowest and highest sample of each 20 ms: float32 [columns, 2]."""
        return np.concatenate([np.zeros((0, 2), np.float32), *self._outline])

    def snr(self) -> float | None:
        """Signal-to-noise ratio in dB, from the pauses of the recording itself.

        The power of 25 ms frames every 10 ms: its 5th percentile is taken as the noise (speech
        pauses that often), the mean of the frames over the median as speech with noise. None under
        ``SHORT_SECONDS``, where there may be no pause to measure; at most 100.
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
        """What makes a result for this recording less certain."""
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
        # A run may have begun in the block before: its last samples stand in front of this one.
        high = np.concatenate([np.ones(self._run, np.bool_), high])
        edges = np.flatnonzero(np.diff(np.concatenate([[0], high.view(np.int8), [0]])))
        lengths = edges[1::2] - edges[::2]
        self._clipped += int(lengths[lengths >= CLIPPED_RUN].sum())
        if self._run == CLIPPED_RUN:  # these were counted with their own block
            self._clipped -= CLIPPED_RUN
        self._run = min(CLIPPED_RUN, int(lengths[-1])) if high[-1] else 0

    def _add_power(self, block: Samples) -> None:
        samples = np.concatenate([self._tail, block])
        count = max(0, 1 + (len(samples) - POWER_WIDTH) // POWER_STEP)
        self._tail = samples[count * POWER_STEP :]
        if not count:
            return
        parts = samples[: (count - 1) * POWER_STEP + POWER_WIDTH].reshape(-1, POWER_PART)
        energies = np.einsum("ij,ij->i", parts, parts, dtype=np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(energies, POWER_WIDTH // POWER_PART)
        power = windows[:: POWER_STEP // POWER_PART].sum(axis=1) / POWER_WIDTH
        step = (10 * np.log10(power + 1e-30) - POWER_FLOOR_DB) * POWER_BINS_PER_DB
        index = np.clip(step.astype(np.int64), 0, POWER_BINS - 1)
        self._bins[0] += np.bincount(index, minlength=POWER_BINS)
        self._bins[1] += np.bincount(index, weights=power, minlength=POWER_BINS)


@dataclass(frozen=True)
class AudioWarning:
    """Something about the recording that makes its result less certain."""

    code: str
    """``short``, ``long``, ``silent``, ``clipped``, ``noisy``, ``cut``, ``incomplete``, or
    ``provider``: part of the work was done elsewhere."""
    message: str
    """What was measured, and what to do about it."""

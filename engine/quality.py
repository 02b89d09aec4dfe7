"""What can be heard of a recording's quality before any model runs: warnings a user can act on."""

from __future__ import annotations

import numpy as np

from .audio import SAMPLE_RATE, Samples
from .results import AudioWarning

SHORT_SECONDS = 1.0
LONG_SECONDS = 30.0
SILENT_DBFS = -60.0
"""Root mean square of the whole clip, relative to a full-scale constant."""
CLIPPED_LEVEL = 0.999
CLIPPED_RUN = 3
"""A flat top is at least this many samples long; a lone peak at full scale is not clipping."""
CLIPPED_SHARE = 0.001
NOISY_DB = 20.0


def assess(samples: Samples) -> tuple[AudioWarning, ...]:
    """Warnings about a clip.

    Args:
        samples: float32 [samples], 16 kHz mono.
    """
    warnings = []
    seconds = len(samples) / SAMPLE_RATE
    if seconds < SHORT_SECONDS:
        message = f"{seconds:.2f} s of audio; emotions are unreliable under {SHORT_SECONDS:g} s"
        warnings.append(AudioWarning("short", message))
    if seconds > LONG_SECONDS:
        message = (
            f"{seconds:.0f} s of audio; one emotion for more than {LONG_SECONDS:g} s says little, "
            "look at the timeline (--granularity frame)"
        )
        warnings.append(AudioWarning("long", message))
    level = level_dbfs(samples)
    if level < SILENT_DBFS:
        message = f"level is {level:.0f} dBFS, near silence; check the microphone or the channel"
        return (*warnings, AudioWarning("silent", message))
    clipped = clipped_share(samples)
    if clipped > CLIPPED_SHARE:
        message = f"{100 * clipped:.1f} % of the samples are clipped; lower the recording level"
        warnings.append(AudioWarning("clipped", message))
    snr = estimate_snr(samples)
    if snr is not None and snr < NOISY_DB:
        message = f"estimated SNR is {snr:.0f} dB; under {NOISY_DB:g} dB noise hides emotion"
        warnings.append(AudioWarning("noisy", message))
    return tuple(warnings)


def level_dbfs(samples: Samples) -> float:
    """Root mean square level in dB relative to full scale; −inf for digital silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10 * np.log10(power) if power > 0 else -np.inf


def clipped_share(samples: Samples) -> float:
    """Share of the samples that lie in flat tops at full scale."""
    high = np.abs(samples) >= CLIPPED_LEVEL
    if not high.any():
        return 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.view(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= CLIPPED_RUN].sum() / len(samples))


def estimate_snr(samples: Samples) -> float | None:
    """Signal-to-noise ratio in dB, from the pauses of the clip itself.

    The power of 25 ms frames every 10 ms: its 5th percentile is taken as the noise (speech pauses
    that often), the mean of the frames over the median as speech with noise. None under
    ``SHORT_SECONDS``, where there may be no pause to measure; at most 100.
    """
    width, step = SAMPLE_RATE // 40, SAMPLE_RATE // 100
    if len(samples) < SHORT_SECONDS * SAMPLE_RATE:
        return None
    count = 1 + (len(samples) - width) // step
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    first = step * np.arange(count)
    power = (sums[first + width] - sums[first]) / width
    noise = float(np.percentile(power, 5))
    speech = float(power[power >= np.median(power)].mean())
    if noise <= 1e-10 * speech:
        return 100.0
    return float(10 * np.log10(max(speech - noise, 1e-10 * noise) / noise))

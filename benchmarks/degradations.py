"""What can be done to clean recordings to see how a model holds up: noise, level, codec, rate."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotion2vec_edge.engine import load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.errors import OptionError

CODECS = {"opus": ("ogg", "libopus"), "mp3": ("mp3", "libmp3lame"), "aac": ("adts", "aac")}
"""Name → FFmpeg's container and encoder."""


@dataclass(frozen=True)
class Condition:
    """One way of hearing the clips."""

    name: str
    apply: Callable[[Samples], Samples]


CLEAN = Condition("clean", lambda samples: samples)


def noise(snr: float) -> Condition:
    """White noise at a signal-to-noise ratio in dB, the same for the same clip."""

    def apply(samples: Samples) -> Samples:
        rng = np.random.default_rng(zlib.crc32(samples.tobytes()))
        power = float(np.square(samples, dtype=np.float64).mean())
        scale = math.sqrt(power / 10 ** (snr / 10))
        return (samples + scale * rng.normal(size=len(samples))).astype(np.float32)

    return Condition(f"noise {snr:g} dB", apply)


def gain(decibel: float) -> Condition:
    """Louder or quieter; what goes over full scale is clipped, as a converter does."""
    factor = 10 ** (decibel / 20)
    return Condition(
        f"gain {decibel:+g} dB",
        lambda samples: np.clip(factor * samples, -1, 1).astype(np.float32),
    )


def narrow(rate: int) -> Condition:
    """Through a lower sample rate, as of a telephone."""

    def apply(samples: Samples) -> Samples:
        import soxr

        there = soxr.resample(samples, SAMPLE_RATE, rate)
        back: Samples = np.asarray(soxr.resample(there, rate, SAMPLE_RATE), np.float32)
        return back

    if not 1_000 <= rate < SAMPLE_RATE:
        raise OptionError(f"--rate {rate}: give 1000 to {SAMPLE_RATE - 1} Hz")
    return Condition(f"{rate} Hz", apply)


def codec(text: str) -> Condition:
    """Through a codec and back: ``opus:16k``.

    Raises:
        OptionError: an unknown codec or bit rate.
    """
    name, _, rate = text.partition(":")
    if name not in CODECS or not rate.removesuffix("k").isdigit():
        raise OptionError(f"--codec {text}: give {', '.join(CODECS)} and a bit rate, as opus:16k")
    container, encoder = CODECS[name]
    bits = int(rate.removesuffix("k")) * (1000 if rate.endswith("k") else 1)

    def apply(samples: Samples) -> Samples:
        import av

        file = io.BytesIO()
        with av.open(file, "w", format=container) as out:
            stream: Any = out.add_stream(encoder, rate=SAMPLE_RATE, layout="mono")
            stream.bit_rate = bits
            frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = 0
            resampler = av.AudioResampler(
                stream.codec_context.format, "mono", SAMPLE_RATE,
                frame_size=stream.codec_context.frame_size,
            )  # fmt: skip
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(piece))
            out.mux(stream.encode(None))
        return load_audio(file.getvalue()).samples[: len(samples)]

    return Condition(text, apply)

"""Degradations of clean recordings: noise, level, sample rate, codec."""

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
"""Codec → FFmpeg's container and encoder."""


@dataclass(frozen=True)
class Degradation:
    """One degradation of a clip."""

    name: str
    apply: Callable[[Samples], Samples]
    """float32 [samples] at 16 kHz → the same, degraded."""


CLEAN = Degradation("clean", lambda samples: samples)


def noise(snr: float) -> Degradation:
    """White noise at a signal-to-noise ratio in dB; the same clip gets the same noise."""

    def apply(samples: Samples) -> Samples:
        rng = np.random.default_rng(zlib.crc32(samples.tobytes()))
        power = float(np.square(samples, dtype=np.float64).mean())
        scale = math.sqrt(power / 10 ** (snr / 10))
        return (samples + scale * rng.normal(size=len(samples))).astype(np.float32)

    return Degradation(f"noise {snr:g} dB", apply)


def gain(decibel: float) -> Degradation:
    """A gain in dB; samples beyond full scale are clipped, as a converter does."""
    factor = 10 ** (decibel / 20)
    return Degradation(
        f"gain {decibel:+g} dB",
        lambda samples: np.clip(factor * samples, -1, 1).astype(np.float32),
    )


def narrow(rate: int) -> Degradation:
    """A lower sample rate in Hz, such as a telephone's, and back.

    Raises:
        OptionError: a rate below 1 kHz, or not below 16 kHz.
    """

    def apply(samples: Samples) -> Samples:
        import soxr

        low = soxr.resample(samples, SAMPLE_RATE, rate)
        restored: Samples = np.asarray(soxr.resample(low, rate, SAMPLE_RATE), np.float32)
        return restored

    if not 1_000 <= rate < SAMPLE_RATE:
        raise OptionError(f"--rate {rate}: give 1000 to {SAMPLE_RATE - 1} Hz")
    return Degradation(f"{rate} Hz", apply)


def codec(text: str) -> Degradation:
    """A codec at a bit rate, such as ``opus:16k``, and back.

    Raises:
        OptionError: an unknown codec or bit rate.
    """
    name, _, rate = text.partition(":")
    digits = rate.removesuffix("k")
    if name not in CODECS or not digits.isdecimal() or not int(digits):
        raise OptionError(f"--codec {text}: give {', '.join(CODECS)} and a bit rate, as opus:16k")
    bits = int(digits) * (1000 if rate.endswith("k") else 1)

    def apply(samples: Samples) -> Samples:
        import av

        try:
            return load_audio(_encoded(samples, name, bits)).samples[: len(samples)]
        except (av.FFmpegError, OverflowError) as error:
            raise OptionError(f"--codec {text}: the encoder refuses it: {error}") from None

    return Degradation(text, apply)


def _encoded(samples: Samples, name: str, bits: int) -> bytes:
    """The bytes of a file in one of :data:`CODECS` at ``bits`` a second."""
    import av

    container, encoder = CODECS[name]
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
    return file.getvalue()

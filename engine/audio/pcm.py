"""Raw PCM samples in a byte stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SampleFormat = Literal["s16le", "s24le", "s32le", "f32le", "u8"]

SAMPLE_BYTES: dict[SampleFormat, int] = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "u8": 1}


@dataclass(frozen=True)
class PcmFormat:
    """Layout of interleaved samples in a pipe."""

    rate: int
    """Sample rate in Hz."""
    channels: int = 1
    sample_format: SampleFormat = "s16le"
    length: int | None = None
    """Bytes of samples that follow; None: until the pipe ends."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, which is one sample of every channel."""
        return self.channels * SAMPLE_BYTES[self.sample_format]

    def decode(self, content: bytes) -> NDArray[Any]:
        """Bytes of whole frames → [samples, channels]."""
        if self.sample_format == "s24le":
            # The three bytes become the upper ones of an int32, which keeps sign and full scale.
            wide = np.zeros((len(content) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            samples: NDArray[Any] = wide.view("<i4")[:, 0]
        else:
            dtypes = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4", "u8": "u1"}
            samples = np.frombuffer(content, dtypes[self.sample_format])
        return samples.reshape(-1, self.channels)

"""Headers of RIFF (WAV) and AIFF files."""

from __future__ import annotations

import os
from typing import IO, Literal

from ..errors import UndecodableAudioError
from .pcm import PcmFormat, SampleFormat
from .types import RATES

UNKNOWN_LENGTH = 0x7FFF_F000
"""From here on, and at 0, the length in a header is that of a sender who could not know it."""


def promised_frames(file: IO[bytes], size: int) -> int | None:
    """Frames that a WAV or AIFF header promises; libsndfile cuts them down to what is there.

    None where it is neither, or where the writer did not know (a pipe leaves 0 or all ones).
    """
    head = file.read(12)
    promised = None
    if head[:4] + head[8:] in (b"RIFFWAVE", b"FORMAIFF", b"FORMAIFC"):
        order: Literal["little", "big"] = "little" if head[:4] == b"RIFF" else "big"
        align = 0
        while len(chunk := file.read(8)) == 8:
            name, length = chunk[:4], int.from_bytes(chunk[4:], order)
            if name == b"fmt ":
                fmt = file.read(min(length, 64))
                align = int.from_bytes(fmt[12:14], order) if fmt[:2] in _PCM else 0
                length -= len(fmt)
            elif name == b"data":
                if align and 0 < length < UNKNOWN_LENGTH:
                    promised = length // align
                break
            elif name == b"COMM":
                promised = int.from_bytes(file.read(6)[2:], order) or None
                break
            if file.tell() + length > size:
                break
            file.seek(length + length % 2, os.SEEK_CUR)
    file.seek(0)
    return promised


_PCM = (b"\x01\x00", b"\x03\x00", b"\xfe\xff")
"""WAVE_FORMAT_PCM, _IEEE_FLOAT and _EXTENSIBLE: a frame is block-align bytes."""


def read_wav_header(pipe: IO[bytes]) -> PcmFormat | bytes:
    """The format that a WAV at the start of a pipe says, leaving the pipe at its samples.

    Returns:
        the format, or what was read where it is no WAV.

    Raises:
        UndecodableAudioError: a WAV that is damaged, or does not hold plain samples.
    """
    head = _exactly(pipe, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return head
    fmt = b""
    while len(chunk := _exactly(pipe, 8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            # A sender that cannot know the length writes 0 or the largest number.
            return _wav_format(fmt, length if 0 < length < UNKNOWN_LENGTH else None)
        content = _exactly(pipe, length + length % 2)
        if chunk[:4] == b"fmt ":
            fmt = content
    raise UndecodableAudioError("<stdin>: a WAV that ends before its samples")


def _wav_format(fmt: bytes, length: int | None) -> PcmFormat:
    tag, channels = (int.from_bytes(fmt[i : i + 2], "little") for i in (0, 2))
    bits = int.from_bytes(fmt[14:16], "little")
    if tag == 0xFFFE:  # extensible: the tag is the start of a GUID
        tag = int.from_bytes(fmt[24:26], "little")
    formats: dict[tuple[int, int], SampleFormat] = {
        (1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le", (3, 32): "f32le",
    }  # fmt: skip
    if (tag, bits) not in formats or not channels:
        raise UndecodableAudioError(
            f"<stdin>: a WAV with codec {tag}, {bits} bits, {channels} channels; plain samples are "
            "taken: ffmpeg -i … -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000"
        )
    rate = int.from_bytes(fmt[4:8], "little")
    if not RATES[0] <= rate <= RATES[1]:
        raise UndecodableAudioError(
            f"<stdin>: a WAV at {rate} Hz; {RATES[0]} to {RATES[1]} Hz are taken"
        )
    return PcmFormat(rate, channels, formats[tag, bits], length)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    content = b""
    while len(content) < size and (more := pipe.read(size - len(content))):
        content += more
    return content

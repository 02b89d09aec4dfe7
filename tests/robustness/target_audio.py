"""The audio door: recordings of many formats, damaged."""

import functools
import io
import struct
import zlib

import numpy as np
from recordings import encoded, tone
from target import Target

from emotion2vec_edge.engine.audio.recording import Recording, load_audio
from emotion2vec_edge.engine.audio.riff import PcmFormat, read_wav_header
from emotion2vec_edge.engine.errors import AudioError

FORMATS = {
    "wav": ("WAV", {"subtype": "PCM_16"}),
    "wav 24": ("WAVEX", {"subtype": "PCM_24"}),
    "wav float": ("WAV", {"subtype": "FLOAT"}),
    "wav adpcm": ("WAV", {"subtype": "IMA_ADPCM"}),
    "wav gsm": ("wav", {"codec": "adpcm_ms"}),
    "flac": ("FLAC", {}),
    "vorbis": ("OGG", {"subtype": "VORBIS"}),
    "opus": ("OGG", {"subtype": "OPUS"}),
    "ogg flac": ("ogg", {"codec": "flac"}),
    "mp3": ("MP3", {}),
    "mp2": ("mp2", {"codec": "mp2"}),
    "aiff": ("AIFF", {}),
    "au": ("au", {"codec": "pcm_s16be"}),
    "caf": ("caf", {"codec": "pcm_s16le"}),
    "w64": ("w64", {"codec": "pcm_s16le"}),
    "voc": ("voc", {"codec": "pcm_u8"}),
    "sox": ("sox", {"codec": "pcm_s32le"}),
    "m4a": ("ipod", {"codec": "aac"}),
    "mov alac": ("mov", {"codec": "alac"}),
    "mov pcm": ("mov", {"codec": "pcm_s16le"}),
    "3gp": ("3gp", {"codec": "aac"}),
    "adts": ("adts", {"codec": "aac"}),
    "ts": ("mpegts", {"codec": "aac"}),
    "webm": ("webm", {"codec": "libopus"}),
    "mkv": ("matroska", {"codec": "aac"}),
    "mkv wavpack": ("matroska", {"codec": "wavpack"}),
    "avi": ("avi", {"codec": "libmp3lame"}),
    "flv": ("flv", {"codec": "libmp3lame"}),
    "swf": ("swf", {"codec": "libmp3lame"}),
    "ac3": ("ac3", {"codec": "ac3"}),
    "spdif": ("spdif", {"codec": "ac3"}),
    "rm": ("rm", {"codec": "ac3"}),
    "wavpack": ("wv", {"codec": "wavpack"}),
    "tta": ("tta", {"codec": "tta"}),
    "nut": ("nut", {"codec": "aac"}),
    "amr": ("amr", {"codec": "libopencore_amrnb"}),
}
RATES = {
    "webm": 48_000,
    "amr": 8_000,
    **dict.fromkeys(["swf", "flv", "rm", "ac3", "spdif"], 44_100),
}


@functools.cache
def seeds():
    """Half a second in every format, and in a Matroska that is compressed."""
    made = {}
    for name, (container, options) in FORMATS.items():
        rate = RATES.get(name, 16_000)
        sound = tone(0.5, rate) + np.random.default_rng(0).normal(0, 0.01, rate // 2)
        made[name] = encoded(sound.astype(np.float32), rate, container, **options)
    made["mkv zlib"] = compressed_matroska(zlib.compress(bytes(200_000)))
    return made


def compressed_matroska(packet):
    """Two blocks of zlib-compressed PCM, the second with eight packets in it."""

    def element(name, *parts):
        content = b"".join(parts)
        return bytes.fromhex(name) + (len(content) | 1 << 28).to_bytes(4, "big") + content

    sound = (
        element("B5", struct.pack(">d", 48_000.0)),
        element("9F", b"\x02"),
        element("6264", b"\x10"),
    )
    compression = element("6D80", element("6240", element("5034", element("4254", b"\0"))))
    track = element("AE", element("D7", b"\1"), element("83", b"\2"), element("86", b"A_PCM/INT/LIT"),
                    compression, element("E1", *sound))  # fmt: skip
    blocks = b"\x81\0\0\x80" + packet, b"\x81\0\0\x84\7" + packet * 8
    clusters = [element("1F43B675", element("E7", b"\0"), element("A3", block)) for block in blocks]
    header = element("1A45DFA3", element("42F7", b"\1"), element("4282", b"matroska"))
    return header + element("18538067", element("1654AE6B", track), *clusters)


def run(content, folder):
    """Decode a recording: its samples, or one of our errors."""
    try:
        header = read_wav_header(io.BytesIO(content))
    except AudioError:
        pass
    else:
        assert isinstance(header, bytes | PcmFormat)
    path = folder / "recording"
    path.write_bytes(content)
    try:
        if len(content) % 4:
            samples = load_audio(content).samples
            assert len(samples) >= 400
        else:
            with Recording(path, max_seconds=0.2, cut=True) as recording:
                blocks = list(recording.blocks())
            samples = np.concatenate(blocks)
            assert len(samples) <= 3_200
    except AudioError as error:
        name = "<bytes>" if len(content) % 4 else str(path)
        assert str(error).startswith(f"{name}: "), error
        return type(error).__name__
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    return "result"


TARGET = Target(seeds, run)

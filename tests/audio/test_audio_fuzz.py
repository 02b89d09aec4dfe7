"""2,400 damaged files through the audio door: a result or one of our exceptions, and nothing else."""

import zlib

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine.audio.recording import load_audio
from emotion2vec_edge.engine.errors import AudioError

SEEDS = {
    "wav": ("WAV", {"subtype": "PCM_16"}),
    "wav float": ("WAV", {"subtype": "FLOAT"}),
    "wav adpcm": ("WAV", {"subtype": "IMA_ADPCM"}),
    "flac": ("FLAC", {}),
    "vorbis": ("OGG", {"subtype": "VORBIS"}),
    "opus": ("OGG", {"subtype": "OPUS"}),
    "mp3": ("MP3", {}),
    "aiff": ("AIFF", {}),
    "m4a": ("ipod", {"codec": "aac"}),
    "webm": ("webm", {"codec": "libopus"}),
    "adts": ("adts", {"codec": "aac"}),
    "matroska": ("matroska", {"codec": "aac"}),
}
MUTATIONS = 200


def mutated(content, rng):
    """One damaged copy: flipped bytes (mostly in the header), a cut, a hole, or a repetition."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(6)
        at = int(rng.integers(max(1, len(data))))
        if kind <= 2:
            reach = min(len(data), 128) if kind else len(data)
            for _ in range(rng.integers(1, 12)):
                if reach:
                    data[rng.integers(reach)] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 400))]
        else:
            data[at:at] = data[: int(rng.integers(1, 400))]
    return bytes(data)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_end_in_results_or_our_errors(name):
    container, options = SEEDS[name]
    rate = 48_000 if container == "webm" else 16_000
    content = encoded(tone(0.5, rate), rate, container, **options)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    outcomes = {"result": 0, "error": 0}
    for _ in range(MUTATIONS):
        try:
            audio = load_audio(mutated(content, rng))
        except AudioError as error:
            assert str(error).startswith("<bytes>: ")
            outcomes["error"] += 1
        else:
            assert audio.samples.dtype == np.float32
            assert np.isfinite(audio.samples).all()
            assert len(audio.samples) >= 400
            outcomes["result"] += 1
    # Damage that always is one or the other would have tested half of the door. Ogg pages carry
    # checksums, and half a second is one page: there, damage is always noticed.
    assert outcomes["error"] > 0, outcomes
    assert outcomes["result"] > 0 or container == "OGG", outcomes

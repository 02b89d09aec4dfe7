"""Recognize what a microphone hears, a window of two seconds every half second.

    pip install ".[cpu,mic]"
    python examples/live_microphone.py [SECONDS]

Runs until Ctrl-C, or for the given number of seconds. ``e2v stream --mic`` does this and more.
"""

import math
import queue
import sys
from collections.abc import Iterator
from typing import Any

import sounddevice

from emotion2vec_edge.engine import Recognizer

RATE = 16_000


def microphone(seconds: float) -> Iterator[Any]:
    """Blocks of samples, float32 [samples, 1], as they arrive."""
    blocks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    received = 0
    with sounddevice.InputStream(
        samplerate=RATE,
        channels=1,
        dtype="float32",
        # The callback must return at once, so it copies the block and nothing else.
        callback=lambda block, _frames, _time, _status: blocks.put(block.copy()),
    ):
        while received < seconds * RATE:
            block = blocks.get()
            received += len(block)
            yield block


def main(seconds: float) -> None:
    """Print each window as soon as it is complete."""
    recognizer = Recognizer.load()
    with recognizer.stream(microphone(seconds), window=2.0, hop=0.5, rate=RATE) as stream:
        for window in stream:
            emotion = "(silence)" if window.silent else f"{window.emotion} {window.confidence:.0%}"
            print(f"{window.start:6.1f} to {window.end:6.1f} s  {emotion}", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else math.inf)

"""Sound of PulseAudio, or of PipeWire in its place, through its own program ``parec``.

PyAV's wheels are built without PulseAudio.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import numpy as np

from ...audio.types import SAMPLE_RATE, Samples
from ...errors import AudioReadError, MissingExtraError

BLOCK_BYTES = SAMPLE_RATE // 10 * 4
"""Bytes of a tenth of a second of float32."""


class PulseSource:
    """A source of the sound server, which mixes and resamples it.

    Args:
        device: name of the source, as ``pactl list sources short`` shows it; ``default`` takes the
            one that the user chose there.

    Raises:
        MissingExtraError: the program is not installed.
    """

    endless = True

    def __init__(self, device: str) -> None:
        self.name = f"pulse:{device}"
        program = shutil.which("parec")
        if program is None:
            raise MissingExtraError(
                f"{self.name}: needs the program parec: apt install pulseaudio-utils"
            )
        chosen = [] if device == "default" else [f"--device={device}"]
        self._command = [
            program, *chosen, "--raw", "--format=float32le", f"--rate={SAMPLE_RATE}",
            "--channels=1", "--latency-msec=100", "--client-name=e2v",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def connect(self) -> Iterator[Samples]:
        """Record: float32 [samples], mono, 16 kHz, in blocks.

        Raises:
            AudioReadError: the program ended.
        """
        with subprocess.Popen(  # noqa: S603 - the user names the device
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:  # fmt: skip
            self._process = process
            if self._closed:
                process.kill()
            try:
                rest = b""
                while content := process.stdout.read1(BLOCK_BYTES):  # type: ignore[union-attr]
                    rest += content
                    whole = len(rest) - len(rest) % 4
                    yield np.frombuffer(rest[:whole], "<f4").astype(np.float32)
                    rest = rest[whole:]
                words = process.stderr.read(1_000).decode("utf-8", "replace")  # type: ignore[union-attr]
            finally:
                process.kill()
        raise AudioReadError(f"{self.name}: {' '.join(words.split()) or 'parec ended'}")

    def close(self) -> None:
        """End the present recording."""
        self._closed = True
        if self._process is not None:
            self._process.kill()

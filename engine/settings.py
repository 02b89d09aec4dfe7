"""Settings that a user decides: their defaults, their limits, and frozen groups of them.

This is the one home of each default and each limit; the command line, the Python interface and the
rooms below take them from here. It imports neither numpy nor a model, so that help texts are quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, get_args

from .errors import OptionError

Precision = Literal["fp32", "int8", "fp16", "int8-static"]
"""Number format of the weights; the name of a bundle's variant."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

PrecisionChoice = Literal[Precision, "auto"]
"""A precision, or the best one in the bundle that suits the provider."""

ProviderName = Literal["tensorrt", "cuda", "cpu", "openvino", "coreml", "xnnpack"]
"""Name of an execution provider, as users write it."""

PROVIDER_NAMES: tuple[ProviderName, ...] = get_args(ProviderName)

ProviderChoice = Literal[ProviderName, "auto"]
"""A provider, or the first of TensorRT, CUDA and the CPU that serves."""

Granularity = Literal["utterance", "frame"]
"""One result for the whole recording, or also one for each window of it."""

SampleFormat = Literal["s16le", "s24le", "s32le", "f32le", "u8"]
"""Format of raw samples: signed, float or unsigned; bits; little-endian."""

TurnDetection = Literal["vad", "channels"]
"""Ways to find turns: segments of speech of the mean of all channels, or of each channel."""

TURN_DETECTIONS: tuple[TurnDetection, ...] = get_args(TurnDetection)

SpaceName = Literal["fitted", "raw", "emotion"]
"""``fitted``: made for similarity; ``raw``: the embeddings as they are; ``emotion``: logits."""

SpaceChoice = Literal[SpaceName, "auto"]
"""A space, or the fitted one if the model has it, else the embeddings as they are."""

ClusterMethod = Literal["kmeans", "hdbscan", "gmm"]
"""Ways to group embeddings."""

MapMethod = Literal["pca", "tsne", "umap"]
"""Ways to place embeddings in a plane; new ones find their place by ``pca`` alone."""

CHUNK_SECONDS = 30.0
"""Seconds of the longest stretch that the encoder sees at once."""
CONTEXT_SECONDS = 2.0
"""Seconds of context on each side of a chunk."""
WINDOW_SECONDS = 0.1
"""Seconds of one window of a timeline."""
HOP_SECONDS = 0.05
"""Seconds between the starts of two windows of a timeline."""
STREAM_WINDOW_SECONDS = 2.0
"""Seconds of one window of a stream."""
STREAM_HOP_SECONDS = 0.5
"""Seconds between the starts of two windows of a stream."""
SEGMENT_SECONDS = 0.5
"""Seconds of the shortest segment: a subtitle that is shorter cannot be read."""
SPEECH_THRESHOLD = 0.5
"""Probability of speech from which a segment of speech begins."""
LEAST_SPEECH = 0.25
"""Seconds of the shortest segment of speech."""
LEAST_SILENCE = 0.4
"""Seconds of a pause that ends a segment of speech."""
SPEECH_PADDING = 0.1
"""Seconds added on both sides of a segment of speech."""
LONGEST_SPEECH = 12.0
"""Seconds of the longest segment of speech; the model was trained on utterances of 3 to 10 s."""
TOP = 3
"""Number of emotions listed, best first."""
MOST_JOBS = 256
"""Processes of one batch, at most."""
CONFIDENT = 0.7
"""Confidence from which the summary of a batch counts a result as confident."""
NEIGHBOURS = 10
"""Number of embeddings that a search finds, and that vote on an emotion."""
LEAST_CALIBRATION_CLIPS = 100
"""Held-out clips from which a fitted temperature counts as a calibration: with fewer, its error
is as large as what it mends."""
SAME_PRIOR = 0.5
"""Probability that two clips share an emotion, before they are heard."""
WHITENING_SHRINKAGE = 0.9
"""Weight of the mean variance in a whitening that no labels guide."""

LEAST_WINDOW = 0.02
"""Seconds of one frame of every emotion2vec, the shortest window."""
LEAST_RECORDING = 0.025
"""Seconds of one receptive field of the model, 400 samples at 16 kHz."""
LEAST_HOP = 0.001
"""Seconds. A finer timeline has no more information and would fill the memory."""
MOST_SECONDS = 1_000_000.0
"""Seconds, eleven days: the largest duration that is accepted. Larger ones overflow in samples."""


def check_seconds(name: str, value: float, least: float, most: float = MOST_SECONDS) -> None:
    """Refuse a duration that is out of range, NaN or no number.

    Args:
        name: the setting, with its article, such as ``a window``.
        value: seconds.
        least: the smallest value that is accepted.
        most: the largest.

    Raises:
        OptionError: the value is outside of the range.
    """
    if not (isinstance(value, Real) and least <= value <= most):
        raise OptionError(f"{name} of {value} s; give {least:,.10g} to {most:,.10g} s")


def check_window(window: float, hop: float) -> None:
    """Refuse a window shorter than one frame and a hop that is not positive.

    Raises:
        OptionError: either is out of range.
    """
    check_seconds("a window", window, LEAST_WINDOW)
    check_seconds("a hop", hop, LEAST_HOP)


def check_stream_window(window: float, hop: float, longest: float) -> None:
    """Refuse a window of a stream that is no recording or longer than one chunk, and such a hop.

    A longer window would be cut into chunks, and would not be what it is alone.

    Raises:
        OptionError: either is out of range.
    """
    check_seconds("a stream's window (up to one chunk)", window, LEAST_RECORDING, longest)
    check_seconds("a stream's hop", hop, LEAST_WINDOW)


def check_probability(name: str, value: float) -> None:
    """Refuse a number that is no probability.

    Raises:
        OptionError: it is not from 0 to 1.
    """
    if not (isinstance(value, Real) and 0 <= value <= 1):
        raise OptionError(f"{name} is {value}; give a probability from 0 to 1")


@dataclass(frozen=True)
class ModelSettings:
    """The model and where it runs; fields as the arguments of :meth:`Recognizer.load`."""

    model: str | None = None
    provider: ProviderChoice = "auto"
    precision: PrecisionChoice = "auto"
    threads: int | None = None
    chunk_seconds: float = CHUNK_SECONDS
    context_seconds: float = CONTEXT_SECONDS
    reject_below: float = 0.0
    labels: tuple[str, ...] | None = None
    provider_options: Mapping[str, str] = field(default_factory=dict)
    offline: bool = False


@dataclass(frozen=True)
class ClusterSettings:
    """The cluster that runs a batch."""

    on: str | None = None
    """``ray`` or ``ray://HOST:PORT``; None for this machine."""
    workers: int | None = None
    """Number of workers; None takes as many as the cluster has room for."""
    gpus_per_worker: float = 0.0
    """GPUs of each worker, or a part of one."""


@dataclass(frozen=True)
class IntakeSettings:
    """The part of a recording that is used; fields as the arguments of :meth:`Recognizer.encode`.

    Raises:
        OptionError: ``max_seconds`` is out of range.
    """

    channel: int | None = None
    max_seconds: float | None = None
    cut: bool = False

    def __post_init__(self) -> None:
        if self.max_seconds is not None:
            check_seconds("max_seconds", self.max_seconds, LEAST_RECORDING)


@dataclass(frozen=True)
class DatasetSettings:
    """A dataset of Hugging Face's, and the column of audio in it or in Parquet files."""

    dataset: str | None = None
    """``owner/name`` on the hub, or a folder; None for no such dataset."""
    split: str = "train"
    config: str | None = None
    revision: str | None = None
    column: str | None = None
    """Name of the column; None finds it."""


@dataclass(frozen=True)
class SourceSettings:
    """Live audio and the part of it that is used."""

    name: str | None = None
    """Name of the source in rules and outputs; None takes the address without its secrets."""
    mic: bool = False
    """True for a microphone in place of a source."""
    device: str | None = None
    """Number or name of the microphone; None takes the system's default."""
    rate: int | None = None
    """Sample rate in Hz, of raw samples or of the microphone."""
    channels: int = 1
    """Number of channels, of raw samples or of the microphone."""
    sample_format: SampleFormat = "s16le"
    """Format of raw samples."""
    channel: int | None = None
    """Channel to take, from 0; None takes the mean of all."""
    follow: bool = False
    """True to wait for more of a recording that grows."""
    options: Mapping[str, str] = field(default_factory=dict)
    """FFmpeg's options of an address or a device."""
    live: bool | None = None
    """True to leave windows out rather than fall behind; None decides by the pace of the audio."""


@dataclass(frozen=True)
class ReportSettings:
    """The contents of the report on a recording.

    Raises:
        OptionError: another granularity, or a number out of range.
    """

    granularity: Granularity = "utterance"
    window: float = WINDOW_SECONDS
    """Seconds of one window of the timeline."""
    hop: float = HOP_SECONDS
    """Seconds between the starts of two windows."""
    top: int = TOP
    """Number of emotions listed, best first."""
    min_segment: float = SEGMENT_SECONDS
    """Seconds of the shortest segment, in the formats that have segments."""

    def __post_init__(self) -> None:
        if self.granularity not in get_args(Granularity):
            allowed = " or ".join(get_args(Granularity))
            raise OptionError(f"granularity is {self.granularity!r}; give {allowed}")
        check_window(self.window, self.hop)
        if self.top < 1:
            raise OptionError(f"top is {self.top}; give at least 1")
        check_seconds("a shortest segment", self.min_segment, 0)


@dataclass(frozen=True)
class SegmentSettings:
    """The rules for speech segments.

    Raises:
        OptionError: a value is out of range.
    """

    threshold: float = SPEECH_THRESHOLD
    """Probability of speech from which a segment begins."""
    min_speech: float = LEAST_SPEECH
    """Seconds of the shortest segment; shorter ones are left out."""
    min_silence: float = LEAST_SILENCE
    """Seconds of a pause that ends a segment."""
    padding: float = SPEECH_PADDING
    """Seconds added on both sides, at most up to the middle of the pause between two segments."""
    max_speech: float = LONGEST_SPEECH
    """Seconds of the longest segment; the model was trained on utterances of 3 to 10 s."""

    def __post_init__(self) -> None:
        check_probability("threshold", self.threshold)
        check_seconds("a shortest speech segment", self.min_speech, 0, 60)
        check_seconds("a shortest silence", self.min_silence, 0.03, 60)
        check_seconds("a padding", self.padding, 0, 10)
        check_seconds("a longest speech segment", self.max_speech, 1, 3600)
        if self.min_speech > self.max_speech / 2:
            raise OptionError(
                f"a shortest speech segment of {self.min_speech} s; give at most half of the "
                f"longest, {self.max_speech / 2:g} s"
            )


def speech_rules(speech_only: bool | SegmentSettings) -> SegmentSettings | None:
    """Rules for speech where it alone counts; None where everything does."""
    if isinstance(speech_only, SegmentSettings):
        return speech_only
    return SegmentSettings() if speech_only else None


@dataclass(frozen=True)
class TurnSettings:
    """The turns of recordings, where none are given.

    Raises:
        OptionError: another way to find them, or a baseline of speakers that are not known.
    """

    detection: TurnDetection = "vad"
    segments: SegmentSettings = field(default_factory=SegmentSettings)
    """The rules for segments of speech."""
    baseline: bool = False
    """True to subtract each speaker's own level."""

    def __post_init__(self) -> None:
        if self.detection not in TURN_DETECTIONS:
            raise OptionError(f"turns are {self.detection!r}; give {' or '.join(TURN_DETECTIONS)}")
        if self.baseline and self.detection == "vad":
            raise OptionError("a baseline is of each speaker, and vad knows none; take channels")

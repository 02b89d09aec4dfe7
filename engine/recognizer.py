"""Recognizer: the public face. It holds a loaded model, and composes the rooms behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .audio.meter import AudioWarning
from .audio.normalized import NormalizedRecording
from .audio.recording import Recording
from .audio.types import SAMPLE_RATE, AudioSource
from .bundle.bundle import Bundle
from .bundle.locate import open_bundle
from .bundle.manifest import Variant
from .errors import OptionError, ProviderError
from .progress import Progress
from .results.decision import check_reject_below
from .results.encoding import Encoding
from .results.types import Timings, Utterance
from .runtime.chunking import Chunking
from .runtime.hardware import checked_threads, sums_int8_exactly
from .runtime.model import Model, noise
from .runtime.prepared import make_ready, open_encoder
from .runtime.providers import PROVIDERS, Provider
from .runtime.session import SessionConfig, choose
from .streaming.stream import Stream

PRECISIONS = ("fp32", "int8", "fp16")


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
    precision: str
    provider: str
    """The provider that runs, by our name."""
    skipped: tuple[str, ...]
    """Why the providers that ``auto`` tried before this one do not serve."""
    threads: int
    encoder: Model
    reject_below: float = 0.0
    """Confidence under which the answer is ``unknown``."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What was set of the provider's options."""

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        provider: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        chunk_seconds: float = 30.0,
        context_seconds: float = 2.0,
        reject_below: float = 0.0,
        provider_options: Mapping[str, object] | None = None,
        prepare: bool = False,
    ) -> Recognizer:
        """Open a model.

        Args:
            model: path of a bundle, or an embedded name; None takes ``$E2V_MODEL``, else the
                embedded default.
            provider: ``auto`` (TensorRT, else CUDA, else CPU), or the name of one; see
                :data:`~.runtime.providers.NAMES`.
            precision: ``auto`` (what suits the provider and is in the bundle), ``fp32``, ``int8``
                or ``fp16``.
            threads: processors to use; None takes all that this process may use.
            chunk_seconds: the longest stretch that the encoder sees at once.
            context_seconds: what a chunk of longer audio hears beyond what is kept of it.
            reject_below: confidence under which the answer is ``unknown``.
            provider_options: of the provider, as ONNX Runtime names them: ``device_id``,
                ``gpu_mem_limit``, ``user_compute_stream``, …; for a provider that is named.
            prepare: first make ready what later calls find in the cache folder (see
                :mod:`~.prepared`): some seconds on the CPU, minutes on TensorRT, which does not
                run without.

        Raises:
            BundleNotFoundError, BundleFormatError, BundleTamperedError: the model.
            VariantNotFoundError: the bundle has no such precision.
            ProviderError: the named provider cannot serve.
            OptionError: an argument outside what is allowed.
            OutputError: with ``prepare``, the cache folder cannot be written.
        """
        if precision not in ("auto", *PRECISIONS):
            raise OptionError(
                f"precision {precision!r} is not known; give auto, {', '.join(PRECISIONS)}"
            )
        check_reject_below(reject_below)
        threads = checked_threads(threads)
        if provider_options and provider == "auto":
            raise OptionError("options are one provider's own; name it instead of auto")
        running = SessionConfig(threads, {k: str(v) for k, v in (provider_options or {}).items()})
        chunking = Chunking(chunk_seconds, context_seconds)
        bundle = open_bundle(model)
        chunking = replace(chunking, block=bundle.manifest.block_seconds)
        head = bundle.head()

        def open_tier(tier: Provider) -> tuple[str, Model]:
            chosen = _precision_for(bundle, tier, precision)
            bundle.verify(chosen)
            if prepare:
                make_ready(bundle, chosen, tier, running)
            return chosen, open_encoder(bundle, chosen, tier, running, chunking, head)

        opened = choose(provider, open_tier)
        chosen, encoder = opened.value
        return cls(
            bundle,
            chosen,
            opened.provider.name,
            opened.skipped,
            threads,
            encoder,
            reject_below,
            running.options,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Label ids in the model's order; empty for a model without a head."""
        return tuple(label.id for label in self.bundle.manifest.labels)

    @property
    def tier(self) -> Provider:
        """The provider that runs."""
        return next(tier for tier in PROVIDERS if tier.name == self.provider)

    @property
    def running(self) -> SessionConfig:
        """How its sessions run."""
        return SessionConfig(self.threads, self.options)

    def encode(
        self,
        source: AudioSource,
        rate: int | None = None,
        *,
        channel: int | None = None,
        max_seconds: float | None = None,
        cut: bool = False,
        frames: bool = False,
        progress: Progress | None = None,
    ) -> Encoding:
        """Read a recording and run the encoder over it once; everything else comes from that.

        Args:
            source: a path, the bytes of a file, an open binary file, or samples [samples] or
                [samples, channels].
            rate: sample rate in Hz, for samples.
            channel: channel to take, from 0; None takes the mean of all.
            max_seconds: the longest recording that is taken; None takes any.
            cut: take the first ``max_seconds`` of a longer one instead of refusing it.
            frames: keep the frame embeddings too.
            progress: called with the seconds that are done and those there are, None if unknown.

        Raises:
            AudioError: the recording cannot be used; see :func:`~.audio.recording.load_audio`.
        """
        recording = Recording(source, rate, channel=channel, max_seconds=max_seconds, cut=cut)
        with recording:
            return self.encode_intake(self.take_in(recording), frames=frames, progress=progress)

    def take_in(self, recording: Recording) -> NormalizedRecording:
        """Read a recording for the first time; may run while another one is encoded.

        Raises:
            AudioError: the recording cannot be used; see :func:`~.audio.recording.load_audio`.
        """
        return NormalizedRecording(recording, normalize=self.bundle.manifest.audio.normalize)

    def encode_intake(
        self, intake: NormalizedRecording, *, frames: bool = False, progress: Progress | None = None
    ) -> Encoding:
        """The second half of :meth:`encode`."""
        return self.encode_intakes([intake], frames=frames, progress=progress)[0]

    def encode_intakes(
        self,
        intakes: Sequence[NormalizedRecording],
        *,
        frames: bool = False,
        progress: Progress | None = None,
    ) -> list[Encoding]:
        """The second half of :meth:`encode` for several recordings.

        On a GPU they are encoded together in batches, and the time of that is shared among them by
        their lengths; on the CPU one after the other.
        """
        audio = self.bundle.manifest.audio
        started = time.perf_counter()
        decoded = [intake.decode_seconds for intake in intakes]
        parts = [_Parts() for _ in intakes]
        for number, piece, logits in self.encoder.pieces_of([one.blocks() for one in intakes]):
            parts[number].add(piece, logits, keep=frames)
            if progress is not None:
                seconds = parts[number].count * audio.hop / audio.sample_rate
                progress(seconds, intakes[number].seconds)
        again = [one.decode_seconds - before for one, before in zip(intakes, decoded, strict=True)]
        taken = time.perf_counter() - started - sum(again)
        total = sum(one.count for one in parts)
        return [
            Encoding(
                mean_frame=(part.total / part.count).astype(np.float32),
                logits=np.concatenate(part.logits) if part.logits else None,
                frames=np.concatenate(part.frames) if frames else None,
                labels=self.labels,
                seconds=intake.meter.seconds,
                outline=intake.meter.outline,
                audio=audio,
                warnings=self._warnings(intake),
                timings=Timings(intake.decode_seconds, taken * part.count / total),
                normalization=intake.normalization,
                model=self.bundle.manifest.name,
                provider=self.provider,
                calibrated=self.bundle.manifest.calibration is not None,
                reject_below=self.reject_below,
            )
            for intake, part in zip(intakes, parts, strict=True)
        ]

    def _warnings(self, intake: NormalizedRecording) -> tuple[AudioWarning, ...]:
        remark = self.encoder.remark(intake.meter.seconds)
        own = () if remark is None else (AudioWarning("provider", remark),)
        return (*intake.warnings(), *own)

    def recognize(
        self,
        source: AudioSource,
        rate: int | None = None,
        *,
        channel: int | None = None,
        max_seconds: float | None = None,
        cut: bool = False,
    ) -> Utterance:
        """The emotion of a whole recording; arguments and errors as :meth:`encode`."""
        return self.encode(
            source, rate, channel=channel, max_seconds=max_seconds, cut=cut
        ).utterance()

    def warm_up(self) -> list[tuple[int, float, float]]:
        """Encode noise of each length that the provider treats apart, so that nobody waits for it.

        Returns:
            seconds of audio, and seconds that the first and the second time took.
        """
        times = []
        for seconds in self.encoder.lengths():
            heard = noise(self.encoder.audio, seconds)
            started = time.perf_counter()
            self.encoder.encode(heard)
            again = time.perf_counter()
            self.encoder.encode(heard)
            times.append((seconds, again - started, time.perf_counter() - again))
        return times

    def stream(
        self,
        source: Iterable[ArrayLike] | None = None,
        *,
        window: float = 2.0,
        hop: float = 0.5,
        rate: int = SAMPLE_RATE,
        channel: int | None = None,
    ) -> Stream:
        """Results of audio as it arrives; arguments and errors as :class:`~.Stream`."""
        return Stream(self, source, window=window, hop=hop, rate=rate, channel=channel)

    def __repr__(self) -> str:
        manifest = self.bundle.manifest
        size = self.bundle.variant(self.precision).bytes / 2**20
        labels = " ".join(self.labels) or "none (embeddings only)"
        audio = manifest.audio
        return (
            f"Recognizer({manifest.name}, {self.precision}, {size:.1f} MiB, "
            f"on {self.provider} with {self.threads} threads)\n"
            f"  labels: {labels}\n"
            f"  hears:  {audio.sample_rate} Hz mono, a frame every {audio.hop} samples"
        )


@dataclass
class _Parts:
    """What has come of one recording."""

    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    """Sum of the frame embeddings."""
    count: int = 0
    frames: list[NDArray[np.float32]] = field(default_factory=list)
    logits: list[NDArray[np.float32]] = field(default_factory=list)

    def add(
        self, frames: NDArray[np.float32], logits: NDArray[np.float32] | None, *, keep: bool
    ) -> None:
        self.total = self.total + frames.sum(axis=0, dtype=np.float64)
        self.count += len(frames)
        if keep:
            self.frames.append(frames)
        if logits is not None:
            self.logits.append(logits)


def _suits_processor(variant: Variant) -> bool:
    """Eight-bit weights made for VNNI are less accurate where it is missing: fp32 serves there."""
    return variant.recipe.get("target") != "avx512_vnni" or sums_int8_exactly()


def _precision_for(bundle: Bundle, provider: Provider, wanted: str) -> str:
    """The variant to open on a provider; a ProviderError sends ``auto`` to the next one."""
    if wanted != "auto":
        bundle.variant(wanted)
        if wanted == "int8" and "int8" not in provider.precisions:
            raise ProviderError(
                f"{provider.name}: int8 does not run there: its operators are those of ONNX "
                "Runtime's CPU kernels (CUDA has none for DynamicQuantizeLinear, TensorRT refuses "
                f"it); take {' or '.join(provider.precisions)}, or the provider cpu"
            )
        return wanted
    have = bundle.manifest.variants
    for precision in provider.precisions:
        if precision in have and _suits_processor(have[precision]):
            return precision
    raise ProviderError(
        f"{provider.name}: runs {', '.join(provider.precisions)}, and {bundle.folder} has only "
        f"{', '.join(have)}"
    )

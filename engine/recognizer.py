"""Recognizer: the public face. It holds a loaded model, and composes the rooms behind it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from .audio import AudioSource, load_audio
from .bundle import Bundle, Variant, open_bundle
from .cpu import sums_int8_exactly
from .encoder import Encoder
from .encoding import Encoding
from .errors import OptionError, ProviderError
from .providers import Provider, checked_threads, choose
from .quality import assess
from .results import Timings, Utterance

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
    """The provider that runs: ``cpu``, ``cuda`` or ``tensorrt``."""
    skipped: tuple[str, ...]
    """Why the providers that ``auto`` tried before this one do not serve."""
    threads: int
    encoder: Encoder

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        provider: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> Recognizer:
        """Open a model.

        Args:
            model: path of a bundle, or an embedded name; None takes ``$E2V_MODEL``, else the
                embedded default.
            provider: ``auto`` (TensorRT, else CUDA, else CPU), ``tensorrt``, ``cuda`` or ``cpu``.
            precision: ``auto`` (what suits the provider and is in the bundle), ``fp32``, ``int8``
                or ``fp16``.
            threads: processors to use; None takes all that this process may use.

        Raises:
            BundleNotFoundError, BundleFormatError, BundleTamperedError: the model.
            VariantNotFoundError: the bundle has no such precision.
            ProviderError: the named provider cannot serve.
            OptionError: an argument outside what is allowed.
        """
        if precision not in ("auto", *PRECISIONS):
            raise OptionError(
                f"precision {precision!r} is not known; give auto, {', '.join(PRECISIONS)}"
            )
        threads = checked_threads(threads)
        bundle = open_bundle(model)

        def open_tier(tier: Provider) -> tuple[str, Encoder]:
            chosen = _precision_for(bundle, tier, precision)
            bundle.verify(chosen)
            audio = bundle.manifest.audio
            return chosen, Encoder.open(bundle.graphs(chosen), audio, tier, threads)

        opened = choose(provider, open_tier)
        chosen, encoder = opened.value
        return cls(bundle, chosen, opened.provider.name, opened.skipped, threads, encoder)

    @property
    def labels(self) -> tuple[str, ...]:
        """Label ids in the model's order; empty for a model without a head."""
        return tuple(label.id for label in self.bundle.manifest.labels)

    def encode(
        self, source: AudioSource, rate: int | None = None, *, channel: int | None = None
    ) -> Encoding:
        """Read a recording and run the encoder over it once; everything else comes from that.

        Args:
            source: a path, the bytes of a file, an open binary file, or samples [samples] or
                [samples, channels].
            rate: sample rate in Hz, for samples.
            channel: channel to take, from 0; None takes the mean of all.

        Raises:
            AudioError: the recording cannot be used; see :func:`~.audio.load_audio`.
        """
        started = time.perf_counter()
        audio = load_audio(source, rate, channel=channel)
        decoded = time.perf_counter()
        frames, logits = self.encoder.encode(audio.samples)
        encoded = time.perf_counter()
        return Encoding(
            frames=frames,
            logits=logits,
            labels=self.labels,
            seconds=audio.seconds,
            audio=self.bundle.manifest.audio,
            warnings=assess(audio.samples),
            timings=Timings(decode=decoded - started, encode=encoded - decoded),
            model=self.bundle.manifest.name,
            provider=self.provider,
        )

    def recognize(
        self, source: AudioSource, rate: int | None = None, *, channel: int | None = None
    ) -> Utterance:
        """The emotion of a whole recording; arguments and errors as :meth:`encode`."""
        return self.encode(source, rate, channel=channel).utterance()

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


def _suits_processor(variant: Variant) -> bool:
    """Eight-bit weights made for VNNI are less accurate where it is missing: fp32 serves there."""
    return variant.recipe.get("target") != "avx512_vnni" or sums_int8_exactly()


def _precision_for(bundle: Bundle, provider: Provider, wanted: str) -> str:
    """The variant to open on a provider; a ProviderError sends ``auto`` to the next one."""
    if wanted != "auto":
        bundle.variant(wanted)
        if wanted == "int8" and "int8" not in provider.precisions:
            raise ProviderError(
                f"{provider.name}: int8 does not run there; it is dynamic quantization, whose "
                "DynamicQuantizeLinear has no CUDA kernel and which TensorRT refuses; "
                "take fp16 or fp32, or the provider cpu"
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

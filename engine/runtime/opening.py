"""Choose an execution provider, and open a model on it.

``auto`` walks TensorRT → CUDA → CPU. A provider counts only when the session itself reports it. A
provider that was named and cannot serve is an error, never a silent CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ..bundle.bundle import Bundle
from ..errors import OptionError, ProviderError
from ..settings import PRECISIONS, PROVIDER_NAMES, PrecisionChoice, ProviderChoice
from .chunking import Chunking
from .model import Model, SelectedVariant
from .probe import probe_once
from .providers import LADDER, PROVIDERS
from .providers.base import Provider
from .session import SessionConfig

T = TypeVar("T")


@dataclass(frozen=True)
class Opening:
    """Everything that opens a model: to open the same one again, or to profile it."""

    provider: Provider
    selected: SelectedVariant
    config: SessionConfig

    def open(self) -> Model:
        """Open new sessions; raises as :meth:`~.Provider.open_model`."""
        return self.provider.open_model(self.selected, self.config)

    def prepared(self) -> Path | None:
        """Folder of the files that are prepared for it, if there are any."""
        entry = self.provider.entry(self.selected, self.config)
        return None if entry is None else entry.find()


@dataclass(frozen=True)
class Chosen(Generic[T]):
    """The provider that serves."""

    provider: Provider
    value: T
    skipped: tuple[str, ...]
    """Reasons why the providers before it do not serve."""


def provider_named(name: str) -> Provider:
    """The provider of a name.

    Raises:
        OptionError: there is none.
    """
    for provider in PROVIDERS:
        if provider.name == name:
            return provider
    raise OptionError(f"provider {name!r} is not known; give auto, {', '.join(PROVIDER_NAMES)}")


def choose(name: str, open_on: Callable[[Provider], T]) -> Chosen[T]:
    """Open the named provider, or the first of the ladder that can be opened.

    Args:
        name: ``auto``, or one of :data:`~.settings.PROVIDER_NAMES`.
        open_on: opens sessions on one provider; after a ProviderError ``auto`` tries the next.

    Raises:
        ProviderError: the named provider, or every one, cannot serve.
        OptionError: there is no such provider.
    """
    providers = LADDER if name == "auto" else (provider_named(name),)
    skipped: list[str] = []
    for provider in providers:
        try:
            provider.require_available()
            return Chosen(provider, open_on(provider), tuple(skipped))
        except ProviderError as error:
            if name != "auto":
                raise
            skipped.append(str(error))
    raise ProviderError("no execution provider works: " + "; ".join(skipped))


@dataclass(frozen=True)
class OpenedModel:
    """A model, and how it was opened."""

    model: Model
    opening: Opening
    skipped: tuple[str, ...]
    """Reasons why the providers that ``auto`` tried before do not serve."""


def open_model(
    bundle: Bundle,
    chunking: Chunking,
    config: SessionConfig,
    *,
    provider: ProviderChoice = "auto",
    precision: PrecisionChoice = "auto",
    labels: Sequence[str] | None = None,
    prepare: bool = False,
) -> OpenedModel:
    """Verify and open a variant of a bundle.

    Args:
        bundle: the bundle.
        chunking: division of long audio for the encoder.
        config: settings of the sessions.
        provider: ``auto``, or the name of one.
        precision: ``auto``, or the name of a variant.
        labels: label ids that may be the answer; None takes all.
        prepare: first prepare what later calls find in the cache.

    Raises:
        OptionError: no such provider, precision or label, or options that it does not take.
        ProviderError: the named provider, or every one, cannot serve.
        ModelError: the bundle cannot be used.
        OutputError: with ``prepare``, the cache cannot be written.
    """
    if precision not in ("auto", *PRECISIONS):
        known = ", ".join(PRECISIONS)
        raise OptionError(f"precision {precision!r} is not known; give auto, {known}")
    if config.options and provider == "auto":
        raise OptionError("options belong to one provider; name it instead of auto")
    head = bundle.head(labels)

    def open_on(candidate: Provider) -> tuple[Model, Opening]:
        candidate.check_options(config)
        variant = candidate.precision_for(bundle, precision)
        bundle.verify(variant)
        opening = Opening(candidate, SelectedVariant(bundle, variant, chunking, head), config)
        if prepare:
            candidate.prepare(opening.selected, config)
        model = opening.open()
        probe_once(model, bundle, variant)
        return model, opening

    chosen = choose(provider, open_on)
    return OpenedModel(*chosen.value, chosen.skipped)

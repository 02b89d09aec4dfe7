"""Audio that is pushed in pieces, or pulled: what every kind of stream does with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..audio.convert import Converter
from ..audio.readers import ArrayReader, check_header, to_float
from ..audio.types import Samples
from ..errors import OptionError

if TYPE_CHECKING:
    from typing_extensions import Self

ResultT = TypeVar("ResultT")


class StreamInput:
    """Makes mono at 16 kHz of the samples that are pushed.

    Args:
        rate: sample rate in Hz.
        channel: channel to take, from 0; None takes the mean of all.

    Raises:
        InvalidSamplesError: a rate that is not supported.
    """

    def __init__(self, rate: int, channel: int | None) -> None:
        check_header(ArrayReader(np.zeros(1, np.float32), rate), None)
        self.rate = rate
        self.channel = channel
        self._converter = Converter("<stream>", rate, channel)

    def take(self, samples: ArrayLike) -> Samples:
        """Convert the next samples: [samples] or [samples, channels] → float32 [samples].

        Raises:
            InvalidSamplesError: they cannot be used; nothing has changed.
        """
        reader = ArrayReader(samples, self.rate)
        if not reader.array.size:
            return np.zeros(0, np.float32)
        check_header(reader, self.channel)
        # In one block, so that samples that are refused leave the stream as it was.
        return self._converter.feed(to_float(reader.array))

    def restart(self) -> Samples:
        """End the audio, and begin anew: the samples that the resampler still held."""
        rest = self._converter.flush()
        self._converter = Converter("<stream>", self.rate, self.channel)
        return rest


class PulledStream(ABC, Generic[ResultT]):
    """Results of audio that is pushed, or pulled from ``source``. A context manager."""

    source: Iterable[ArrayLike] | None
    """Blocks of samples, pulled when the stream is iterated over."""
    _closed = False

    @abstractmethod
    def feed(self, samples: ArrayLike, arrived: float | None = None) -> None:
        """Take the next samples without encoding; errors as :meth:`push`.

        Args:
            samples: [samples] or [samples, channels].
            arrived: time of their arrival, of :func:`time.perf_counter`; None takes the present.
        """

    @abstractmethod
    def ready(self, newest: int | None = None) -> Iterator[ResultT]:
        """The results that are complete, each computed when it is asked for.

        Args:
            newest: number of windows that may wait; older ones are left out, so as not to fall
                behind. None leaves none out.
        """

    @abstractmethod
    def flush(self) -> list[ResultT]:
        """End the stream and give the results that are left."""

    def push(self, samples: ArrayLike) -> list[ResultT]:
        """Take the next samples and encode what they complete.

        Args:
            samples: [samples] or [samples, channels], as :func:`~.load_audio` takes them.

        Raises:
            InvalidSamplesError: a sample that is not finite, or an unsupported dtype or shape. The
                stream is as it was, and goes on.
            OptionError: the stream was flushed.
            NonFiniteError, ProviderError: the model failed.
        """
        self.feed(samples)
        return list(self.ready())

    def __iter__(self) -> Iterator[ResultT]:
        """Results of ``source``, to its end."""
        if self.source is None:
            raise OptionError("a stream without a source is pushed, not iterated over")
        for samples in self.source:
            self.feed(samples)
            yield from self.ready()
        yield from self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True

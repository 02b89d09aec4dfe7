"""Live sources in tests, and all that arrives from them."""

import time

from emotion2vec_edge.engine.settings import SourceSettings
from emotion2vec_edge.engine.streaming.sources import network, reconnect


def source(text, **settings):
    settings = SourceSettings(**settings)
    return network.NetworkSource(network.parse_address(text, settings), settings.channel)


def received(opened, until, *, seconds=30.0):
    """Everything that arrives until ``until(arrivals)``, or the end."""
    buffer = reconnect.start_reconnecting(opened, None)
    arrivals, stop = [], time.monotonic() + seconds
    try:
        while not until(arrivals):
            assert time.monotonic() < stop, arrivals
            more = buffer.take(1.0)
            if more is None:
                break
            arrivals += more
    finally:
        buffer.close()
    return arrivals, buffer


def kinds(arrivals):
    """Names of what arrived, several pieces of audio as one."""
    names = [type(arrival).__name__ for arrival in arrivals]
    return [name for number, name in enumerate(names) if number == 0 or name != names[number - 1]]


def count(arrivals, kind):
    return sum(isinstance(arrival, kind) for arrival in arrivals)

"""A Ray cluster: joining it, and its room for workers."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ...errors import ClusterError, E2VError, MissingExtraError, OptionError
from ...files import printable

ON_RAY = "ray"
CLIENT_PORT = 10001
"""Port of the server for clients on the head of a cluster."""

PROBE_SECONDS = 5.0
"""Time that the head has to accept a connection."""

FREE_SECONDS = 5.0
"""Time that a full cluster has to become free; the one before may just be ending."""


def ray_package() -> Any:
    """The package ``ray``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            f"a batch on a Ray cluster needs the package ray ({error}); install it on all of its "
            'machines: pip install "emotion2vec-edge[ray]"'
        ) from None
    return ray


def parse_address(text: str) -> str:
    """The address for Ray's client of ``ray`` or ``ray://HOST[:PORT]``.

    Returns:
        ``ray://HOST:PORT``, or ``auto``: the cluster of ``$RAY_ADDRESS``, else that of this
        machine.

    Raises:
        OptionError: it is neither.
    """
    if text == ON_RAY:
        return "auto"
    with contextlib.suppress(ValueError):  # a port that is no number
        parts = urlsplit(text)
        if parts.scheme == ON_RAY and parts.hostname and not parts.path.strip("/"):
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            return f"ray://{host}:{parts.port or CLIENT_PORT}"
    raise OptionError(
        f"{printable(text)}: no cluster has such an address; give ray for the one that this "
        f"machine belongs to, or ray://HOST:{CLIENT_PORT}"
    )


@contextlib.contextmanager
def joined(address: str) -> Iterator[Any]:
    """Join a cluster for the block, unless this process has joined one; gives the package ``ray``.

    Args:
        address: as :func:`parse_address` gives it.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: there is no cluster, or it has other versions of Python or Ray.
    """
    ray = ray_package()
    if ray.is_initialized():
        yield ray
        return
    named = os.environ.get("RAY_ADDRESS", "")
    if address == "auto" and ":" in named:
        address = named
    _check_answers(address)
    try:
        with _signals_kept():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        ray.shutdown()
        if address == "auto" and isinstance(error, ConnectionError):
            raise ClusterError(
                "this machine belongs to no Ray cluster; start one with 'ray start --head', or "
                f"give --on ray://HOST:{CLIENT_PORT}"
            ) from None
        reason = " ".join(str(error).split())
        raise ClusterError(f"{printable(address)}: cannot be joined: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Take back the signals that Ray handles: at SIGTERM it would end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _check_answers(address: str) -> None:
    """Refuse a machine that accepts no connection: Ray would try for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname is None or parts.port is None:
        return
    try:
        socket.create_connection((parts.hostname, parts.port), PROBE_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"{printable(address)}: no Ray cluster answers there: {error.strerror or error}"
        ) from None


@dataclass(frozen=True)
class Share:
    """The part of a machine that a worker takes."""

    cpus: int = 1
    gpus: float = 0.0
    """GPUs of a worker; may be less than 1."""

    def __str__(self) -> str:
        text = f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"
        return text if not self.gpus else f"{text} and {self.gpus:g} GPUs"

    def fits(self, resources: dict[str, float]) -> int:
        """Number of such parts of a machine, by its resources as Ray names them."""
        count = resources.get("CPU", 0) // self.cpus
        if self.gpus:  # 0.1 x 10 is not less than 1
            count = min(count, (resources.get("GPU", 0) + 1e-6) // self.gpus)
        return int(count)


def number_of_workers(ray: Any, share: Share, wanted: int | None) -> int:
    """Number of workers that a cluster is to run.

    Args:
        ray: the package, joined to the cluster.
        share: the part of a machine that each takes.
        wanted: number that the user asked for; None takes as many as fit.

    Raises:
        ClusterError: so many do not fit, or nothing is free.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fitting = sum(map(share.fits, nodes))
    if fitting < (wanted or 1):
        raise ClusterError(
            f"the cluster has no room for {wanted or 1} worker{'s' if (wanted or 1) > 1 else ''} "
            f"with {share} each, but for {fitting}; it has {_described(nodes)}"
        )
    deadline = time.monotonic() + FREE_SECONDS
    while not share.fits(free := ray.available_resources()):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"the cluster is full: a worker takes {share}, and free are "
                f"{_described([free])}; end what runs there, or wait for it"
            )
        time.sleep(0.5)
    return wanted or fitting


def _described(nodes: list[dict[str, float]]) -> str:
    return ", ".join(
        f"{resources.get('CPU', 0):g} CPU and {resources.get('GPU', 0):g} GPU"
        + (f" on {machine}" if machine else "")
        for resources in nodes
        for machine in [_machine(resources)]
    )


def _machine(resources: dict[str, float]) -> str:
    """Address of a machine, from the resource that Ray names after it."""
    names = (name.removeprefix("node:") for name in resources if name.startswith("node:"))
    return next((name for name in names if not name.startswith("__")), "")


def own_error(error: BaseException) -> E2VError | None:
    """The error of ours that a call of an actor ended with; None for any other."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, E2VError) else None

"""Messages to systemd, which started this process as a service of ``Type=notify``.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(state: str) -> None:
    """Send a state such as ``READY=1``; without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.sendto(state.encode(), address.replace("@", "\0", 1))


class Watchdog:
    """Tells systemd that the process is at work; it is restarted if that stays out for too long."""

    def __init__(self) -> None:
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        own = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        known = own and microseconds.isdecimal()
        self._interval = int(microseconds) / 2e6 if known else None
        """Seconds, half of systemd's patience; None without a watchdog."""
        self._next = 0.0

    def touch(self) -> None:
        """Say that there is progress, if it is time to."""
        if self._interval is not None and time.monotonic() >= self._next:
            notify("WATCHDOG=1")
            self._next = time.monotonic() + self._interval

"""Messages to systemd, on a socket that stands in for its own."""

import os
import socket

import pytest

from emotion2vec_edge.engine.systemd import Watchdog, notify


@pytest.fixture
def manager(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(0.2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield channel


def test_states(manager, monkeypatch):
    notify("READY=1")
    assert manager.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    notify("READY=1")  # a manager that went away harms nothing
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_an_abstract_socket(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0e2v-test-" + str(os.getpid()))
        monkeypatch.setenv("NOTIFY_SOCKET", "@e2v-test-" + str(os.getpid()))
        notify("STOPPING=1")
        assert channel.recv(100) == b"STOPPING=1"


def test_the_watchdog_is_touched_twice_in_its_time(manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    watchdog = Watchdog()
    watchdog.touch()
    watchdog.touch()
    assert manager.recv(100) == b"WATCHDOG=1"
    with pytest.raises(TimeoutError):
        manager.recv(100)
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    watchdog = Watchdog()
    watchdog.touch()
    watchdog.touch()
    assert [manager.recv(100) for _ in range(2)] == 2 * [b"WATCHDOG=1"]


@pytest.mark.parametrize(
    "changes", [{}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}]
)
def test_without_a_watchdog(manager, monkeypatch, changes):
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    Watchdog().touch()
    with pytest.raises(TimeoutError):
        manager.recv(100)

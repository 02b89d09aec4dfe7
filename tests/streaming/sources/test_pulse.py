"""PulseAudio: a server of its own with a tone, and a program that stands in for parec."""

import shutil
import subprocess
import sys
import time
from itertools import chain

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import AudioReadError, MissingExtraError
from emotion2vec_edge.engine.streaming.sources import pulse, reconnect
from emotion2vec_edge.engine.streaming.sources.capture import Lost


@pytest.fixture
def parec(tmp_path, monkeypatch):
    """Makes the program: Python that runs with the arguments in sys.argv."""

    def make(code):
        path = tmp_path / "parec"
        path.write_text(f"#!{sys.executable} -S\nimport sys, time\n{code}\n")
        path.chmod(0o700)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


def test_samples_of_any_portions(parec):
    parec("out = sys.stdout.buffer\nfor piece in (b'\\0\\0', b'\\0\\x80' + 3 * b'\\0\\0\\0\\xbf' + b'\\0'):\n"
          "    out.write(piece); out.flush(); time.sleep(0.05)\nsys.exit('no such\\n  source')")  # fmt: skip
    heard = []
    with pytest.raises(AudioReadError, match="pulse:default: no such source"):
        heard.extend(chain.from_iterable(pulse.PulseSource("default").connect()))
    assert heard == [-0.0, -0.5, -0.5, -0.5]


def test_the_device_is_named(parec):
    parec("sys.exit(' '.join(sys.argv[1:]))")
    for device, named in (("default", False), ("mic", True)):
        with pytest.raises(AudioReadError) as ended:
            next(pulse.PulseSource(device).connect())
        assert ("--device=mic" in str(ended.value)) is named


def test_it_is_opened_again_and_closed(parec, monkeypatch):
    monkeypatch.setattr(reconnect, "FIRST_DELAY", 0.01)
    parec("sys.stdout.buffer.write(bytes(6400)); sys.stdout.flush(); time.sleep(0.05)")
    source = pulse.PulseSource("default")
    buffer = reconnect.start_reconnecting(source, None)
    arrivals, end = [], time.monotonic() + 20
    while sum(isinstance(arrival, Lost) for arrival in arrivals) < 3:
        assert time.monotonic() < end
        arrivals += buffer.take(5.0)
    buffer.close()
    assert not buffer._thread.is_alive()
    assert buffer.live


def test_without_the_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match="apt install pulseaudio-utils"):
        pulse.PulseSource("default")


@pytest.mark.slow
def test_a_real_server(tmp_path, monkeypatch):
    if shutil.which("pulseaudio") is None or shutil.which("parec") is None:
        pytest.skip("SKIPPED LOUDLY: no PulseAudio: apt install pulseaudio pulseaudio-utils")
    address = tmp_path / "native"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{address}")
    tmp_path.chmod(0o700)
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no",
         f"--load=module-native-protocol-unix socket={address} auth-anonymous=1",
         "--load=module-sine-source source_name=tone frequency=440 rate=16000"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 10
        while not address.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        blocks = pulse.PulseSource("tone").connect()
        heard = np.zeros(0, np.float32)
        while len(heard) < 20_000:
            heard = np.concatenate([heard, next(blocks)])
        blocks.close()
    finally:
        server.kill()
        server.wait()
    assert np.argmax(np.abs(np.fft.rfft(heard[4_000:20_000]))) == pytest.approx(440, abs=2)

"""A camera on loopback: cut and restored, and with another password."""

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from certificates import self_signed
from live_sources import count, received, source

from emotion2vec_edge.engine.errors import AudioNotFoundError, AudioReadError
from emotion2vec_edge.engine.streaming.sources import reconnect
from emotion2vec_edge.engine.streaming.sources.capture import Lost, Piece, Restored

RTSP_SERVER = Path(__file__).parents[2] / "rtsp_server.py"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(reconnect, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(reconnect, "LONGEST_DELAY", 0.1)


@pytest.fixture
def rtsp():
    """Starts and ends a camera at one port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = []
    assert RTSP_SERVER.exists()

    def start():
        process = subprocess.Popen(
            ["/usr/bin/python3", RTSP_SERVER, str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        if process.stdout.readline() != b"ready\n":
            pytest.skip(
                "SKIPPED LOUDLY: no RTSP server: apt install python3-gi gir1.2-gst-rtsp-server-1.0 "
                f"gstreamer1.0-plugins-base gstreamer1.0-plugins-good ({end()[-200:]})"
            )

    def end():
        """What the camera complained of."""
        process = running.pop()
        process.kill()
        return process.communicate()[1]

    start()
    yield f"rtsp://guard:s3cret@127.0.0.1:{port}", start, end
    while running:
        end()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python of the system")
def test_a_camera_is_cut_and_restored(rtsp):
    address, start, end = rtsp
    heard = 0

    def until(found):
        """Cut it whenever a second more was heard."""
        nonlocal heard
        seconds = (
            sum(len(arrival.samples) for arrival in found if isinstance(arrival, Piece)) / 16_000
        )
        if seconds >= heard + 1 and count(found, Restored) < 3:
            heard = seconds
            end()
            start()
        return count(found, Restored) == 3 and isinstance(found[-1], Piece)

    arrivals, buffer = received(source(f"{address}/live"), until)
    assert count(arrivals, Restored) == 3
    assert count(arrivals, Lost) >= 3
    assert buffer.live
    tones = np.concatenate([arrival.samples for arrival in arrivals if isinstance(arrival, Piece)])
    spectrum = np.abs(np.fft.rfft(tones[4_000:12_000]))
    assert np.argmax(spectrum) * 2 == pytest.approx(440, abs=2)


@pytest.mark.slow
def test_a_camera_that_refuses_the_password(rtsp):
    address, _, _ = rtsp
    with pytest.raises(AudioNotFoundError, match="401 Unauthorized") as refused:
        next(source(f"{address.replace('s3cret', 's3cret2')}/live").connect())
    assert "s3cret" not in str(refused.value)


@pytest.fixture
def tunnel(tmp_path):
    """A server that unwraps TLS for another one: starts before a port, gives its own and its certificate."""
    own, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(here, there):
        with contextlib.suppress(OSError), here, there:
            while content := here.recv(65_536):
                there.sendall(content)

    def serve(port):
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                plain, _ = listening.accept()
                with contextlib.suppress(OSError):  # a client that does not trust us
                    wrapped = context.wrap_socket(plain, server_side=True)
                    inner = socket.create_connection(("127.0.0.1", port))
                    for pair in ((wrapped, inner), (inner, wrapped)):
                        threading.Thread(target=pump, args=pair, daemon=True).start()
                plain.close()

    def start(port):
        threading.Thread(target=serve, args=(port,), daemon=True).start()
        return listening.getsockname()[1], own

    yield start
    listening.close()


@pytest.mark.slow
def test_a_camera_behind_tls(rtsp, tunnel):
    port, own = tunnel(urlsplit(rtsp[0]).port)
    address = f"rtsps://guard:s3cret@127.0.0.1:{port}/live"
    with pytest.raises(AudioReadError, match="certificate failed verification"):
        next(source(address).connect())
    blocks = source(address, options={"ca_file": str(own)}).connect()
    assert len(next(blocks))
    blocks.close()

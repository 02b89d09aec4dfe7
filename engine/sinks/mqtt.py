"""A broker of MQTT: windows, events, the state of alerts, and whether this source is there."""

from __future__ import annotations

import re
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..alerts.rules import Rule
from ..display import redacted
from ..errors import MissingExtraError, OptionError
from .homeassistant import discovery, slug
from .outbox import Message, Tell
from .settings import SinkSettings

if TYPE_CHECKING:
    import paho.mqtt.client as paho

PORTS = {"mqtt": 1883, "mqtts": 8883}

KEEPALIVE_SECONDS = 30
"""Seconds of silence after which broker and client ask if the other is there."""
LONGEST_DELAY = 60
"""Seconds of the longest pause before the broker is tried again."""
STEP_SECONDS = 0.2
"""Seconds between two looks at the order to stop."""
FAREWELL_SECONDS = 1.0
"""Seconds that the broker has to take the last message."""


class MqttBroker:
    """Publishes below one topic: ``window``, ``event``, ``alert/RULE`` and ``availability``.

    Args:
        settings: address, quality of service, certificates and the prefix of discovery.
        source: name of the source.
        rules: rules whose alerts have a state.
        tell: receives messages for the user.

    Raises:
        OptionError: an address or a file that cannot be used.
        MissingExtraError: paho-mqtt is not installed.
    """

    def __init__(
        self, settings: SinkSettings, source: str, rules: Sequence[Rule], tell: Tell
    ) -> None:
        url = settings.mqtt or ""
        self.name = redacted(url)
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme)
        except ValueError:  # a port that is no number, or a bracket that is not closed
            parts, port = urlsplit(""), None
        host, unquoted = parts.hostname, re.search(r"[?#]|[^!-~]", url)
        if parts.scheme not in PORTS or port is None or not host or unquoted:
            raise OptionError(
                "a broker's address is mqtt://[user:password@]host[:port][/topic], or mqtts://…, "
                "with other characters in percent-encoding"
            )
        self.topic = unquote(parts.path).strip("/") or f"e2v/{slug(source)}"
        if re.search(r"[#+\x00]", self.topic + (settings.discovery or "")):
            raise OptionError(
                f"{self.name}: a topic to publish to, or a prefix of one, has no # and no +"
            )
        self._qos = settings.mqtt_qos
        self._tell = tell
        self._alerts = {rule.name: "OFF" for rule in rules}
        if len({slug(name) for name in self._alerts}) < len(self._alerts):
            raise OptionError(
                "two rules would have one topic: names have to differ in letters and digits"
            )
        self._announced = (
            discovery(settings.discovery, self.topic, source, rules) if settings.discovery else ()
        )
        self._changed = threading.Condition()
        self._connected = self._told_failure = False
        self._published: set[int] = set()
        self._client = self._connect(settings, host, port,
                                     tls=parts.scheme == "mqtts",
                                     user=parts.username, password=parts.password)  # fmt: skip

    def wants(self, message: Message) -> bool:  # noqa: ARG002 - the protocol's
        """True for every message."""
        return True

    def deliver(self, message: Message, stop: threading.Event) -> bool:
        """As :meth:`.Courier.deliver`: waits for the broker."""
        rule = message.fields.get("rule")
        if message.event.startswith("alert.") and rule in self._alerts:
            self._alerts[rule] = "ON" if message.event == "alert.start" else "OFF"
            if not self._publish(self._alert_topic(rule), self._alerts[rule], stop, retain=True):
                return False
        kind = "window" if message.event == "window" else "event"
        return self._publish(f"{self.topic}/{kind}", message.json(), stop)

    def close(self) -> None:
        """Say that the source is gone, and hang up."""
        if self._connected:
            farewell = self._client.publish(f"{self.topic}/availability", "offline", 1, retain=True)
            with self._changed:
                self._changed.wait_for(lambda: farewell.mid in self._published, FAREWELL_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _alert_topic(self, rule: str) -> str:
        return f"{self.topic}/alert/{slug(rule)}"

    def _publish(
        self, topic: str, payload: str, stop: threading.Event, *, retain: bool = False
    ) -> bool:
        """Publish once there is a connection, and wait until the broker has it."""
        mid = None
        while not stop.is_set():
            with self._changed:
                if not self._changed.wait_for(lambda: self._connected, STEP_SECONDS):
                    continue
                self._published.clear()  # numbers are used again
            info = self._client.publish(topic, payload, self._qos, retain)
            if self._qos == 0 and info.rc:
                continue
            mid = info.mid
            break
        while mid is not None and not stop.is_set():
            with self._changed:
                if self._changed.wait_for(lambda: mid in self._published, STEP_SECONDS):
                    return True
        return False

    def _connect(
        self, settings: SinkSettings, host: str, port: int, *, tls: bool, user: str | None,
        password: str | None,
    ) -> paho.Client:  # fmt: skip
        try:
            import paho.mqtt.client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise MissingExtraError(
                "a broker needs paho-mqtt 2: pip install 'emotion2vec-edge[mqtt]'"
            ) from None
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"e2v-{secrets.token_hex(6)}")
        if user is not None:
            client.username_pw_set(unquote(user), unquote(password or ""))
        if tls:
            self._use_tls(client, settings)
        client.will_set(f"{self.topic}/availability", "offline", 1, retain=True)
        client.reconnect_delay_set(1, LONGEST_DELAY)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.connect_async(host, port, KEEPALIVE_SECONDS)
        client.loop_start()
        return client

    def _use_tls(self, client: paho.Client, settings: SinkSettings) -> None:
        try:
            client.tls_set(
                _path(settings.mqtt_ca), _path(settings.mqtt_cert), _path(settings.mqtt_key)
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise OptionError(f"{self.name}: certificates cannot be used: {error}") from None

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _p: Any) -> None:
        if code.is_failure:
            self._tell_failure(f"refused: {code}")
            return
        for topic, payload in self._announced:
            client.publish(topic, payload, 1, retain=True)
        for rule, state in self._alerts.items():
            client.publish(self._alert_topic(rule), state, 1, retain=True)
        client.publish(f"{self.topic}/availability", "online", 1, retain=True)
        self._tell(f"{self.name}: connected")
        with self._changed:
            self._connected, self._told_failure = True, False
            self._changed.notify_all()

    def _on_connect_fail(self, _client: paho.Client, _data: Any) -> None:
        self._tell_failure(f"cannot be reached: {sys.exc_info()[1]}")  # paho handles it just now

    def _tell_failure(self, reason: str) -> None:
        if not self._told_failure:
            self._tell(f"{self.name}: {reason}; trying again")
        self._told_failure = True

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: Any, _p: Any
    ) -> None:
        with self._changed:
            was = self._connected
            self._connected = False
        if was and code.is_failure:
            self._tell(f"{self.name}: lost: {code}; connecting again")

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, _code: Any, _p: Any) -> None:
        with self._changed:
            self._published.add(mid)
            self._changed.notify_all()


def _path(value: Path | None) -> str | None:
    return None if value is None else str(value)

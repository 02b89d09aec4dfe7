"""Settings of the outputs of a stream beside stdout."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Qos = Literal[0, 1, 2]
"""Quality of service of MQTT: at most once, at least once, exactly once."""


@dataclass(frozen=True)
class SinkSettings:
    """Outputs of a stream beside stdout; none by default."""

    mqtt: str | None = field(default=None, repr=False)
    """Address of a broker, and the topic below which to publish."""
    mqtt_qos: Qos = 1
    mqtt_ca: Path | None = None
    """Certificates that the broker's is verified with; None takes the system's."""
    mqtt_cert: Path | None = None
    """Certificate of this client."""
    mqtt_key: Path | None = None
    """Key of that certificate."""
    discovery: str | None = None
    """Prefix of Home Assistant's discovery; None sends no such messages."""
    webhook: str | None = field(default=None, repr=False)
    """Address that events are posted to."""
    webhook_secret: Path | None = None
    """File of the key that they are signed with."""
    webhook_windows: bool = False
    """True to post windows too."""

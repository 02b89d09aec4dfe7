"""Sinks as a user names them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..alerts.rules import Rule
from ..errors import OptionError
from ..files import printable, read_regular
from .mqtt import MqttBroker
from .outbox import Outbox, Tell
from .settings import SinkSettings
from .webhook import Webhook

SECRET_VARIABLE = "E2V_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable
MOST_SECRET = 4096
"""Bytes of the longest secret."""


def open_sinks(
    settings: SinkSettings, source: str, rules: Sequence[Rule], tell: Tell
) -> list[Outbox]:
    """Open the sinks that are asked for; each has a thread of its own.

    Args:
        settings: sinks and their options.
        source: name of the source.
        rules: rules whose alerts have a state.
        tell: receives messages for the user, from any thread.

    Raises:
        OptionError: an address, a secret or a file that cannot be used.
        MissingExtraError: a sink needs a package that is not installed.
    """
    _check(settings)
    hook = None
    if settings.webhook is not None:
        hook = Webhook(
            settings.webhook, _secret(settings), windows=settings.webhook_windows, tell=tell
        )
    boxes = [] if hook is None else [Outbox(hook)]
    if settings.mqtt is not None:
        boxes.append(Outbox(MqttBroker(settings, source, rules, tell)))
    return boxes


def _check(settings: SinkSettings) -> None:
    """Refuse options that would have no effect, though the user counts on it."""
    tls = (settings.mqtt_ca, settings.mqtt_cert, settings.mqtt_key)
    if any(tls) and not (settings.mqtt or "").startswith("mqtts:"):
        raise OptionError("--mqtt-ca, --mqtt-cert and --mqtt-key are for --mqtt mqtts://…")
    if settings.discovery is not None and settings.mqtt is None:
        raise OptionError("--discovery is for a broker: --mqtt URL")
    if settings.webhook is None and (settings.webhook_secret or settings.webhook_windows):
        raise OptionError("--webhook-secret and --webhook-windows are for --webhook URL")


def _secret(settings: SinkSettings) -> bytes:
    path = settings.webhook_secret
    if path is None:
        if not (secret := os.environ.get(SECRET_VARIABLE)):
            raise OptionError(
                "a web hook needs a secret to sign with: --webhook-secret FILE, or the variable "
                f"{SECRET_VARIABLE}"
            )
        return secret.encode()
    try:
        return read_regular(path, MOST_SECRET).strip()
    except OSError as error:
        name = printable(str(path))
        raise OptionError(f"{name}: cannot be read as a secret: {error.strerror}") from None

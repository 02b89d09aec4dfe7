"""A web hook: events as JSON by POST, signed with HMAC-SHA256, tried again when a server fails."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
import uuid
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ..display import redacted
from ..errors import OptionError
from ..version import __version__
from .outbox import Message, Tell

if TYPE_CHECKING:
    from urllib.request import Request

ATTEMPTS = 6
"""Times that a message is sent before it is dropped."""
FIRST_DELAY = 0.5
"""Seconds until the second attempt; twice as many before each further one."""
MOST_DELAY = 60.0
"""Seconds of the longest pause, also of one that a server asks for."""
ANSWER_SECONDS = 10.0
"""Seconds that a server has to answer."""
LEAST_SECRET = 16
"""Bytes of the shortest secret."""

Outcome = Literal["taken", "refused", "failed"]
"""The server took the message, will never take it, or may take it later."""


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256, in hexadecimal, of the time in seconds, a full stop and the body."""
    return hmac.new(secret, b"%d." % timestamp + body, hashlib.sha256).hexdigest()


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, or a bracket that is not closed
        return False
    known = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    return known and "@" not in parts.netloc and not re.search("[^!-~]", url)


class Webhook:
    """Sends messages to one address.

    Args:
        url: ``http://`` or ``https://`` address.
        secret: key of the signatures.
        windows: send windows too, not only events.
        tell: receives messages for the user.

    Raises:
        OptionError: another address, or a secret that is too short.
    """

    def __init__(self, url: str, secret: bytes, *, windows: bool, tell: Tell) -> None:
        self.name = redacted(url)
        if not _is_address(url):
            raise OptionError(
                "a web hook's address is http:// or https://, a host and a path, without user and "
                "password, with other characters in percent-encoding"
            )
        if len(secret) < LEAST_SECRET:
            raise OptionError(
                f"the web hook's secret has {len(secret)} bytes; give at least {LEAST_SECRET}, "
                "such as those of: openssl rand -hex 32"
            )
        self._url = url
        self._secret = secret
        self._windows = windows
        self._tell = tell
        self._failing = False

    def wants(self, message: Message) -> bool:
        """True for events, and for windows if they are asked for."""
        return self._windows or message.event != "window"

    def deliver(self, message: Message, stop: threading.Event) -> bool:
        """As :meth:`.Courier.deliver`: up to six attempts."""
        body = message.json().encode()
        delivery = str(uuid.uuid4())
        for attempt in range(ATTEMPTS):
            outcome, reason, pause = self._post(body, message.event, delivery)
            self._tell_change(outcome, reason)
            if outcome != "failed":
                return outcome == "taken"
            delay = max(FIRST_DELAY * 2**attempt, pause)
            if attempt + 1 < ATTEMPTS and stop.wait(min(delay, MOST_DELAY)):
                break
        return False

    def close(self) -> None:
        """Do nothing: each message has a connection of its own."""

    def _post(self, body: bytes, event: str, delivery: str) -> tuple[Outcome, str, float]:
        """Send a message once: the outcome, its reason, and seconds that the server asks for."""
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import HTTPRedirectHandler, build_opener

        class NoRedirect(HTTPRedirectHandler):
            """Refuses to go where the user did not send it."""

            def redirect_request(self, *_: object) -> None:
                """Follow no redirect."""

        try:
            request = self._request(body, event, delivery)
            with build_opener(NoRedirect).open(request, timeout=ANSWER_SECONDS):
                return "taken", "", 0.0
        except HTTPError as error:
            error.close()
            later = error.code in (408, 425, 429) or error.code >= 500
            asked = error.headers.get("Retry-After", "")
            pause = float(asked) if asked.isdecimal() else 0.0
            return "failed" if later else "refused", f"HTTP {error.code}", pause
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            return "failed", redacted(str(reason) or type(error).__name__), 0.0

    def _request(self, body: bytes, event: str, delivery: str) -> Request:
        from urllib.request import Request

        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"emotion2vec-edge/{__version__}",
            "X-E2V-Event": event,
            "X-E2V-Delivery": delivery,
            "X-E2V-Signature": f"t={now},v1={signature(self._secret, now, body)}",
        }
        return Request(self._url, body, headers)  # noqa: S310 - the scheme was checked

    def _tell_change(self, outcome: Outcome, reason: str) -> None:
        failing = outcome != "taken"
        if failing and not self._failing:
            self._tell(f"{self.name}: {reason}")
        elif self._failing and not failing:
            self._tell(f"{self.name}: takes messages again")
        self._failing = failing

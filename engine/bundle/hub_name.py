"""Names of models on Hugging Face's hub."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import OptionError
from ..files import printable

HUB_SCHEME = "hf://"

_NAME = (
    HUB_SCHEME
    + r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?"
)


@dataclass(frozen=True)
class HubName:
    """A repository of models on the hub."""

    repository: str
    """``owner/name``."""
    revision: str | None = None
    """Branch, tag or commit; None takes the default branch."""

    def __str__(self) -> str:
        return f"{HUB_SCHEME}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def parse_hub_name(text: str) -> HubName:
    """Read ``hf://owner/name`` or ``hf://owner/name@revision``.

    Raises:
        OptionError: the text is neither.
    """
    match = re.fullmatch(_NAME, text, re.ASCII)
    if match is None or ".." in text or "--" in match["repository"]:  # the client refuses them too
        raise OptionError(
            f"{printable(text)}: not a name on the hub; give hf://owner/name or "
            "hf://owner/name@revision"
        )
    return HubName(match["repository"], match["revision"])

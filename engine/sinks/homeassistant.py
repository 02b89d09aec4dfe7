"""Discovery messages of Home Assistant: its sensors for a source, without any configuration there.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from ..alerts.rules import Rule
from ..version import __version__


def slug(name: str) -> str:
    """A name as a part of a topic: small letters, digits and underscores.

    A name with letters of other scripts ends in some digits of its checksum, so that two such names
    stay apart.
    """
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if plain and name.isascii():
        return plain
    return "_".join(filter(None, (plain, hashlib.sha256(name.encode()).hexdigest()[:8])))


def discovery(
    prefix: str, topic: str, source: str, rules: Sequence[Rule]
) -> tuple[tuple[str, str], ...]:
    """Messages that announce a source, to be retained: topics and JSON.

    Args:
        prefix: Home Assistant's prefix, usually ``homeassistant``.
        topic: topic below which the source publishes.
        source: its name.
        rules: each becomes a binary sensor.
    """
    node = f"e2v_{slug(source)[:40]}_{hashlib.sha256(topic.encode()).hexdigest()[:8]}"
    common: dict[str, Any] = {
        "availability_topic": f"{topic}/availability",
        "device": {
            "identifiers": [node], "name": source, "manufacturer": "emotion2vec-edge",
            "model": "e2v stream", "sw_version": __version__,
        },
        "origin": {"name": "emotion2vec-edge", "sw_version": __version__},
    }  # fmt: skip
    window = f"{topic}/window"
    entities: list[tuple[str, str, dict[str, Any]]] = [
        ("sensor", "emotion", {
            "name": "Emotion", "icon": "mdi:emoticon-outline", "state_topic": window,
            "value_template": "{{ 'silence' if value_json.silent else value_json.emotion }}",
            "json_attributes_topic": window,
            "json_attributes_template": "{{ value_json.scores | tojson }}",
        }),
        ("sensor", "confidence", {
            "name": "Confidence", "unit_of_measurement": "%", "state_class": "measurement",
            "state_topic": window, "suggested_display_precision": 0,
            "value_template": "{{ value_json.confidence * 100 }}",
        }),
    ]  # fmt: skip
    entities += [
        ("binary_sensor", f"alert_{slug(rule.name)}", {
            "name": rule.name, "state_topic": f"{topic}/alert/{slug(rule.name)}",
        })
        for rule in rules
    ]  # fmt: skip
    return tuple(
        (
            f"{prefix}/{component}/{node}/{entity}/config",
            json.dumps({**fields, "unique_id": f"{node}_{entity}", **common}, ensure_ascii=False),
        )
        for component, entity, fields in entities
    )

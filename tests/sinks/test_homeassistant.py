"""Discovery messages of Home Assistant."""

import json
import re

from emotion2vec_edge.engine.alerts.rules import Rule
from emotion2vec_edge.engine.sinks.homeassistant import discovery, slug


def test_sensors_of_a_source():
    rules = [Rule("Upset caller!", ("angry",), 0.6, 0.4)]
    found = {
        topic: json.loads(text)
        for topic, text in discovery("ha", "house/door", "Front door", rules)
    }
    kinds = [topic.split("/") for topic in found]
    assert [(kind[1], kind[3], kind[4]) for kind in kinds] == [
        ("sensor", "emotion", "config"), ("sensor", "confidence", "config"),
        ("binary_sensor", "alert_upset_caller", "config"),
    ]  # fmt: skip
    configs = list(found.values())
    assert len({config["unique_id"] for config in configs}) == 3
    assert len({json.dumps(config["device"]) for config in configs}) == 1
    assert configs[2]["state_topic"] == "house/door/alert/upset_caller"
    assert "value_json.emotion" in configs[0]["value_template"]


def test_two_sources_of_one_name_are_two_devices():
    first, second = (discovery("ha", topic, "door", [])[0][0] for topic in ("a", "b"))
    assert first != second


def test_names_become_parts_of_topics():
    assert slug("Upset caller!") == "upset_caller"
    names = ["玄関", "怒り", "rtsp://…@camera:554/…"]
    assert len({slug(name) for name in names}) == 3
    assert all(re.fullmatch(r"[a-z0-9_]+", slug(name)) for name in names)

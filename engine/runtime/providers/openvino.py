"""Intel's OpenVINO: static INT8 and fp32 on Intel's and AMD's processors; on GPUs if told so."""

from __future__ import annotations

import json
from typing import Any

from ...errors import OptionError
from ..session import Graph, Session, SessionConfig, session_options
from .base import Provider

CONFIG = "load_config"
"""Option with OpenVINO's own settings for each device, as JSON."""


class OpenVinoProvider(Provider):
    """Intel's OpenVINO."""

    name = "openvino"
    ort_name = "OpenVINOExecutionProvider"
    precisions = ("int8-static", "fp32")
    install = (
        "pip uninstall onnxruntime; pip install onnxruntime-openvino, and emotion2vec-edge without "
        "an extra"
    )

    def check_options(self, config: SessionConfig) -> None:
        """Refuse settings that are no JSON: given a path, the provider would ignore it silently."""
        device_settings(config)

    def open_session(self, graph: Graph, config: SessionConfig) -> Session:
        """As :meth:`.Provider.open_session`.

        On processors with bfloat16 OpenVINO computes in it unless told otherwise, which changes
        answers that the gate has not heard.
        """
        settings = device_settings(config)
        settings["CPU"] = {
            "INFERENCE_NUM_THREADS": str(config.threads),
            "INFERENCE_PRECISION_HINT": "f32",
            **settings.get("CPU", {}),
        }
        own = {**config.options, CONFIG: json.dumps(settings)}
        return self.create_session(graph, session_options(config), own)


def device_settings(config: SessionConfig) -> dict[str, Any]:
    """OpenVINO's settings for each device that the user gave.

    Raises:
        OptionError: they are not a JSON object of objects.
    """
    text = config.options.get(CONFIG, "{}")
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict) or not all(isinstance(v, dict) for v in settings.values()):
        raise OptionError(
            f"{CONFIG} is {text[:100]!r}; give JSON itself and not its path, such as "
            '{"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}}'
        )
    return settings

"""emotion2vec-edge: torch-free speech emotion recognition on ONNX Runtime.

>>> from emotion2vec_edge.engine import Recognizer, example_recordings
>>> recognizer = Recognizer.load()
>>> encoding = recognizer.encode(example_recordings()[0])
>>> len(encoding.timeline(window=1.0, hop=0.5))
10

Nothing is loaded until it is used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import telemetry as telemetry  # switches it off, before anything imports onnxruntime
from .version import __version__

if TYPE_CHECKING:
    from .audio.meter import AudioWarning
    from .audio.recording import Audio, load_audio
    from .bundle.bundle import Bundle
    from .bundle.locate import open_bundle
    from .bundle.manifest import Label
    from .errors import (
        AudioError,
        E2VError,
        ModelError,
        OptionError,
        ProviderError,
    )
    from .recognizer import Recognizer
    from .results.encoding import Encoding
    from .results.timeline import Timeline
    from .results.types import (
        Conversation,
        Segment,
        SpeakerSummary,
        Timings,
        Turn,
        Utterance,
        Window,
    )
    from .settings import SegmentSettings
    from .streaming.events import StreamEvent
    from .streaming.stream import Stream, StreamWindow
    from .streaming.utterances import TurnStream, UtteranceEnd, UtteranceStart
    from .turns.given import GivenTurn

_HOMES = {
    "Audio": "audio.recording",
    "AudioError": "errors",
    "AudioWarning": "audio.meter",
    "Bundle": "bundle.bundle",
    "Conversation": "results.types",
    "E2VError": "errors",
    "Encoding": "results.encoding",
    "GivenTurn": "turns.given",
    "Label": "bundle.manifest",
    "ModelError": "errors",
    "OptionError": "errors",
    "ProviderError": "errors",
    "Recognizer": "recognizer",
    "Segment": "results.types",
    "SegmentSettings": "settings",
    "SpeakerSummary": "results.types",
    "Stream": "streaming.stream",
    "StreamEvent": "streaming.events",
    "StreamWindow": "streaming.stream",
    "Timeline": "results.timeline",
    "Timings": "results.types",
    "Turn": "results.types",
    "TurnStream": "streaming.utterances",
    "Utterance": "results.types",
    "UtteranceEnd": "streaming.utterances",
    "UtteranceStart": "streaming.utterances",
    "Window": "results.types",
    "load_audio": "audio.recording",
    "open_bundle": "bundle.locate",
}

__all__ = [
    "Audio",
    "AudioError",
    "AudioWarning",
    "Bundle",
    "Conversation",
    "E2VError",
    "Encoding",
    "GivenTurn",
    "Label",
    "ModelError",
    "OptionError",
    "ProviderError",
    "Recognizer",
    "Segment",
    "SegmentSettings",
    "SpeakerSummary",
    "Stream",
    "StreamEvent",
    "StreamWindow",
    "Timeline",
    "Timings",
    "Turn",
    "TurnStream",
    "Utterance",
    "UtteranceEnd",
    "UtteranceStart",
    "Window",
    "__version__",
    "example_recordings",
    "load_audio",
    "open_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def example_recordings() -> list[Path]:
    """Three short recordings of read speech inside the package (LibriVox, public domain)."""
    return sorted((Path(__file__).parent / "samples").glob("*.flac"))

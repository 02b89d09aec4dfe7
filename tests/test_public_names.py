"""What `emotion2vec_edge.engine` offers, and what it costs to import it."""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

from emotion2vec_edge import engine
from emotion2vec_edge.engine import embeddings, errors, fusion, recognizer
from emotion2vec_edge.engine.streaming import stream

ROOT = Path(__file__).resolve().parent.parent


def test_every_public_name_can_be_had():
    for name in engine.__all__:
        assert getattr(engine, name) is not None


def test_the_public_names():
    assert set(engine.__all__) == {
        "Audio", "AudioError", "AudioWarning", "Bundle", "Conversation", "E2VError", "Encoding", "GivenTurn", "Label",
        "ModelError", "OptionError", "ProviderError", "Recognizer", "Segment", "SegmentSettings", "SpeakerSummary", "Stream", "StreamEvent",
        "StreamWindow", "Timeline", "Timings", "Turn", "TurnStream", "Utterance", "UtteranceEnd", "UtteranceStart", "Window",
        "__version__", "example_recordings", "load_audio", "open_bundle",
    }  # fmt: skip


def test_the_reference_lists_the_public_names():
    reference = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\.\. auto(?:class|function|exception|data):: (\w+)", reference, re.MULTILINE
    )
    assert sorted(listed) == sorted(set(listed))
    in_errors = {name for name in engine.__all__ if hasattr(errors, name)}
    rooms = {*embeddings.__all__, *fusion.__all__}
    assert set(listed) == (set(engine.__all__) - in_errors - {"__version__"}) | rooms
    assert ".. automodule:: emotion2vec_edge.engine.errors" in reference


def test_every_public_name_says_what_it_is():
    for room in (engine, embeddings, fusion):
        for name in set(room.__all__) - {"__version__"}:
            assert getattr(room, name).__doc__, name
            assert getattr(room, name).__module__.startswith("emotion2vec_edge.engine")


def test_the_members_of_a_recognizer():
    """What it is made of, and what it does; nothing else is promised."""
    fields = {
        "bundle", "precision", "provider", "skipped", "threads", "encoder", "reject_below",
        "options",
    }  # fmt: skip
    public = {name for name in dir(engine.Recognizer.load()) if not name.startswith("_")}
    assert public - fields == {
        "load", "labels", "encode", "encode_many", "recognize", "stream", "turns", "warm_up",
    }  # fmt: skip
    assert fields < public


def modules_after(code):
    """Names of the modules that are loaded after `code` ran in a process of its own."""
    script = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_engine_loads_nothing_heavy():
    loaded = modules_after("import emotion2vec_edge.engine")
    assert not loaded & {"torch", "numpy", "onnxruntime", "soundfile", "soxr", "av", "click"}


def test_the_help_loads_nothing_heavy():
    loaded = modules_after(
        "from emotion2vec_edge.engine.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "cli.main(['--version'], standalone_mode=False)"
    )
    assert not loaded & {"torch", "numpy", "onnxruntime", "soundfile", "soxr", "av"}


def test_recognizing_never_imports_torch():
    loaded = modules_after(
        "from emotion2vec_edge.engine import Recognizer, example_recordings\n"
        "recognizer = Recognizer.load()\n"
        "encoding = recognizer.encode(example_recordings()[0])\n"
        "encoding.utterance(); encoding.timeline(); encoding.embedding()"
    )
    assert "onnxruntime" in loaded
    assert not any(
        ".embeddings." in name or ".fusion." in name
        for name in loaded
        if "engine.results" not in name
    )
    assert "torch" not in loaded


def test_docstring_examples_run():
    for module in (engine, recognizer, stream):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0

"""Which provider computes what: a session may run on one and leave half its graph to another."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bundle.manifest import GRAPHS
from ..errors import ProviderError
from ..recognizer import Recognizer
from .model import Model, noise
from .prepared import open_encoder

SECONDS = 1.0
"""Of sound that goes through."""


@dataclass(frozen=True)
class Placement:
    """Where the operators of one graph were computed in one run."""

    graph: str
    nodes: dict[str, Counter[str]] = field(default_factory=dict)
    """ONNX Runtime's name of a provider → how often it ran each kind of operator."""
    provider: str = ""
    """ONNX Runtime's name of the provider that was meant."""

    @property
    def elsewhere(self) -> Counter[str]:
        """Operators that another provider ran, by kind."""
        others = [counts for name, counts in self.nodes.items() if name != self.provider]
        return sum(others, Counter())

    def __str__(self) -> str:
        own = sum(self.nodes.get(self.provider, Counter()).values())
        line = f"{self.graph}: {own} operators on {self.provider}"
        if not self.elsewhere:
            return line
        kinds = ", ".join(f"{kind} × {count}" for kind, count in self.elsewhere.most_common())
        return f"{line}, {sum(self.elsewhere.values())} elsewhere: {kinds}"


def placements(recognizer: Recognizer) -> list[Placement]:
    """Run a second of noise through new sessions like a recognizer's, with profiling.

    Raises:
        ProviderError: a session could not be created, or its profile cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        encoder = open_profiled(recognizer, Path(folder))
        encoder.encode(noise(encoder.audio, SECONDS))
        sessions = dict(zip(GRAPHS, (encoder.frontend, encoder.encoder), strict=True))
        return [
            Placement(graph, _nodes(Path(session.end_profiling())), recognizer.tier.ort_name)
            for graph, session in sessions.items()
        ]


def open_profiled(recognizer: Recognizer, folder: Path) -> Model:
    """New sessions like a recognizer's, which write profiles into a folder.

    Raises:
        ProviderError: a session could not be created.
    """
    return open_encoder(
        recognizer.bundle,
        recognizer.precision,
        recognizer.tier,
        replace(recognizer.running, profile=folder / "profile"),
        recognizer.encoder.chunking,
        recognizer.encoder.head,
    )


def _nodes(path: Path) -> dict[str, Counter[str]]:
    nodes: dict[str, Counter[str]] = {}
    try:
        for event in kernel_events(path):
            facts = event["args"]
            nodes.setdefault(facts["provider"], Counter())[facts["op_name"]] += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProviderError(f"onnxruntime's profile cannot be read: {error!r}") from None
    return nodes


def kernel_events(path: Path) -> Iterator[dict[str, Any]]:
    """The runs of operators in a profile of ONNX Runtime, in order."""
    for event in json.loads(path.read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            yield event

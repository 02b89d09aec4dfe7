"""Profiles: the time of each operator, and the provider that computed it.

A session may run on one provider and leave half its graph to another.
"""

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
from .model import Model, noise
from .opening import Opening

SECONDS = 1.0
"""Seconds of noise that are encoded."""


@dataclass(frozen=True)
class Placement:
    """The providers of the operators of one graph in one run."""

    graph: str
    nodes: dict[str, Counter[str]] = field(default_factory=dict)
    """ONNX Runtime's name of a provider → number of runs of each kind of operator."""
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


def placements(opening: Opening) -> list[Placement]:
    """Run a second of noise through new sessions, with profiling.

    Raises:
        ProviderError: a session could not be created, or its profile cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = open_profiled(opening, Path(folder))
        model.encode(noise(model.audio, SECONDS))
        return [
            Placement(graph, _nodes(profile), opening.provider.ort_name)
            for graph, profile in zip(GRAPHS, model.end_profiling(), strict=True)
        ]


def open_profiled(opening: Opening, folder: Path) -> Model:
    """Open new sessions, whose profiles :meth:`Model.end_profiling` writes into a folder.

    Raises:
        ProviderError: a session could not be created.
    """
    return replace(opening, config=replace(opening.config, profile=folder / "profile")).open()


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

"""An ONNX Runtime that is told what it has, and whose sessions do nothing but be there."""

import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from emotion2vec_edge.engine.runtime import opening, session


@dataclass
class Created:
    """A session that was created."""

    graph: Any
    options: Any
    names: list
    """ONNX Runtime's names of the providers that were asked for."""
    own: dict
    """Options of the first of them."""
    fallback: bool = True
    """True while a run that fails would be repeated on the CPU."""


@pytest.fixture
def fake_ort(monkeypatch):
    """Pretend that `available` were built in, and that sessions end up on `serving` of those asked.

    `error` gives the exceptions of providers, `on_create` is called with each session's options.
    """

    def install(available, serving=None, error=None, on_create=lambda _created: None):
        created = []

        class Session:
            def __init__(self, graph, options, providers, disabled_optimizers, enable_fallback):
                assert enable_fallback == 0
                own = {} if isinstance(providers[0], str) else providers[0][1]
                names = [p if isinstance(p, str) else p[0] for p in providers]
                if error and names[0] in error:
                    raise error[names[0]]
                self.created = Created(graph, options, names, own)
                created.append(self.created)
                on_create(self.created)

            def get_providers(self):
                names = self.created.names
                return [name for name in names if serving is None or name in serving]

            def get_inputs(self):
                return self.values(session.INTERFACES[Path(self.created.graph).stem][0])

            def get_outputs(self):
                return self.values(session.INTERFACES[Path(self.created.graph).stem][1][-1])

            def values(self, names):
                return [types.SimpleNamespace(name=name, type=kind) for name, kind in names]

            def disable_fallback(self):
                self.created.fallback = False

        module = types.SimpleNamespace(
            InferenceSession=Session,
            SessionOptions=onnxruntime.SessionOptions,
            GraphOptimizationLevel=onnxruntime.GraphOptimizationLevel,
            get_available_providers=lambda: available,
            __version__="1.28",
        )
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
        monkeypatch.setattr(opening, "probe_once", lambda *_: None)  # it cannot compute
        return created

    return install

"""The parts of the project that a fuzz attacks: each registers itself in a ``target_*.py``."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mutation import generator, mutated


@dataclass(frozen=True)
class Target:
    """One door of the project.

    A ``target_NAME.py`` in this folder has a ``TARGET``; ``tests/fuzz --target NAME`` finds it.
    """

    seeds: Callable[[], Mapping[str, bytes]]
    """Makes whole contents by their names, which the damaged ones start from."""
    run: Callable[[bytes, Path], str]
    """Takes a damaged content and an empty folder of its own. It returns what came of it in a word
    (``result``, the name of one of our errors), or raises: any exception is a finding."""
    mutate: Callable[..., bytes] = mutated
    """Damages a content; arguments as for :func:`mutation.mutated`."""
    memory: int = 600 << 20
    """Bytes of address space of the process that runs the cases."""
    seconds: float = 5.0
    """Time of one case after which it hangs."""


def load(name):
    """The target of a name."""
    return importlib.import_module(f"target_{name}").TARGET


def names():
    """All targets."""
    return sorted(path.stem.removeprefix("target_") for path in HERE.glob("target_*.py"))


HERE = Path(__file__).resolve().parent


def case(target, seeds, seed, index):
    """The name of the seed and the damaged content of one case: nothing but the numbers matter."""
    ordered = sorted(seeds)
    name = ordered[index % len(ordered)]
    return name, target.mutate(seeds[name], generator(seed, index), list(seeds.values()))

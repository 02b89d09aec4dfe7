"""Heads, damaged: ``head.npz`` of the right shape, or an error."""

import functools
import io
import warnings
import zipfile

import numpy as np
from mutation import mutated
from target import Target

from emotion2vec_edge.engine.bundle.head import read_head
from emotion2vec_edge.engine.errors import BundleFormatError

LABELS, DIM = 3, 8


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def archive(members, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, member in members.items():
            file.writestr(f"{name}.npy", member)
    return content.getvalue()


def members(dtype):
    rng = np.random.default_rng(0)
    return {
        "weight": npy(rng.standard_normal((LABELS, DIM)).astype(dtype)),
        "bias": npy(rng.standard_normal(LABELS).astype(dtype)),
    }


@functools.cache
def seeds():
    """Heads of every kind that is read."""
    return {
        "stored": archive(members("<f4")),
        "packed": archive(members("<f8"), zipfile.ZIP_DEFLATED),
        "big endian": archive(members(">f2")),
    }


def mutate(content, rng, others):
    """Damage in the archive's start, in its list at the end, or in an array in a whole archive."""
    way = rng.integers(3)
    if way == 0:
        return mutated(content, rng, others)
    if way == 1:
        return mutated(content[::-1], rng, [other[::-1] for other in others])[::-1]
    parts = members("<f4")
    name = ("weight", "bias")[rng.integers(2)]
    parts[name] = mutated(parts[name], rng, list(parts.values()))
    return archive(parts, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[rng.integers(2)])


def run(content, folder):
    """Read a head."""
    (folder / "head.npz").write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, of headers that Python 2 wrote
            weight, bias = read_head(folder / "head.npz", LABELS, DIM)
    except BundleFormatError as error:
        str(error).encode()
        return type(error).__name__
    assert (weight.shape, bias.shape) == ((LABELS, DIM), (LABELS,))
    assert weight.dtype == bias.dtype == np.float32
    assert np.abs(weight).max() <= 1e6
    assert np.abs(bias).max() <= 1e6
    return "result"


TARGET = Target(seeds, run, mutate)

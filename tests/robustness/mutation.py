"""Damage for any bytes: the mutations that a fuzz makes, from a seeded generator."""

import numpy as np

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
"""Numbers at which parsers go wrong."""

HEAD_BYTES = 256
"""Where headers are, and most mutations go."""

MOST_PIECE_BYTES = 400
MOST_BYTES = 4 << 20


def mutated(content, rng, others=()):
    """A copy with one to four pieces of damage.

    Args:
        content: bytes to start from.
        rng: numpy's generator; the same state gives the same copy.
        others: contents that pieces are taken from.
    """
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        DAMAGES[rng.integers(len(DAMAGES))](data, rng, others)
    return bytes(data[:MOST_BYTES])


def _place(data, rng):
    """A position, in the head more often than not."""
    reach = min(len(data), HEAD_BYTES) if rng.random() < 0.6 else len(data)
    return int(rng.integers(max(1, reach)))


def _length(rng):
    return int(rng.integers(1, MOST_PIECE_BYTES))


def flip_bits(data, rng, _others):
    for _ in range(rng.integers(1, 9)):
        at = _place(data, rng)
        data[at : at + 1] = bytes([data[at] ^ 1 << rng.integers(8)]) if data else b""


def set_bytes(data, rng, _others):
    for _ in range(rng.integers(1, 12)):
        at = _place(data, rng)
        data[at : at + 1] = bytes([rng.choice([0, 1, 127, 128, 255, rng.integers(256)])])


def set_number(data, rng, _others):
    size = int(rng.choice([1, 2, 4, 8]))
    value = (EDGES[rng.integers(len(EDGES))] + int(rng.integers(-1, 2))) % (1 << 8 * size)
    at = _place(data, rng)
    data[at : at + size] = value.to_bytes(size, rng.choice(["little", "big"]))


def cut(data, rng, _others):
    del data[_place(data, rng) :]


def remove(data, rng, _others):
    at = _place(data, rng)
    del data[at : at + _length(rng)]


def repeat(data, rng, _others):
    at, length = _place(data, rng), _length(rng)
    data[at:at] = data[at : at + length] * int(rng.integers(1, 20))


def move(data, rng, _others):
    at, length = _place(data, rng), _length(rng)
    piece = data[at : at + length]
    del data[at : at + length]
    there = _place(data, rng)
    data[there:there] = piece


def blank(data, rng, _others):
    at, length = _place(data, rng), _length(rng)
    length = len(data[at : at + length])
    data[at : at + length] = bytes([rng.choice([0, 255, 32])]) * length


def noise(data, rng, _others):
    at = _place(data, rng)
    data[at : at + 8] = rng.bytes(_length(rng))


def splice(data, rng, others):
    other = others[rng.integers(len(others))] if len(others) else bytes(data)
    start = _place(other, rng)
    at = _place(data, rng)
    piece = other[start : start + _length(rng)] if rng.random() < 0.7 else other[start:]
    data[at : at + (len(piece) if rng.random() < 0.5 else 0)] = piece


DAMAGES = (
    flip_bits, flip_bits, set_bytes, set_bytes, set_number, set_number, set_number, cut, remove,
    repeat, move, blank, noise, splice,
)  # fmt: skip


def generator(seed, index):
    """The generator of one case, which depends on nothing else."""
    return np.random.default_rng([seed, index])

"""The front-end's ``feature_encoder_spec``, read without evaluating it."""

from __future__ import annotations

import ast

from emotion2vec_edge.engine.errors import UnsupportedConfigError

from ..model.config import ConvLayer

MOST_LAYERS = 64
MOST = 1 << 14
"""Channels, samples of a kernel, or samples of a stride."""

CONV_SPEC = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"
"""The front-end of data2vec 2.0, and of emotion2vec's published models."""


def parse_conv_spec(text: str) -> tuple[ConvLayer, ...]:
    """Read ``[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)]`` without evaluating it.

    The grammar is lists of integer triples, joined by ``+`` and repeated by ``*``; FunASR runs
    ``eval`` on the same text (``funasr/models/emotion2vec/audio.py``).
    """

    def read(node: ast.expr) -> list[ConvLayer]:
        match node:
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return read(left) + read(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(times))):
                layers = read(left)
                if not 0 <= times * len(layers) <= MOST_LAYERS:
                    raise ValueError(f"more than {MOST_LAYERS} layers")
                return layers * times
            case ast.List(elts=elements):
                return [read_layer(element) for element in elements]
        raise ValueError(f"{ast.unparse(node)!r} is not a list of (channels, kernel, stride)")

    def read_layer(node: ast.expr) -> ConvLayer:
        match node:
            case ast.Tuple(
                elts=[
                    ast.Constant(value=int(channels)),
                    ast.Constant(value=int(kernel)),
                    ast.Constant(value=int(stride)),
                ]
            ) if all(type(n) is int and 1 <= n <= MOST for n in (channels, kernel, stride)):
                return ConvLayer(channels, kernel, stride)
        raise ValueError(f"{ast.unparse(node)!r} is not a triple of integers from 1 to {MOST}")

    try:
        layers = read(ast.parse(text.strip(), mode="eval").body)
        if not 1 <= len(layers) <= MOST_LAYERS:
            raise ValueError(f"it names {len(layers)} layers, not 1 to {MOST_LAYERS}")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnsupportedConfigError(
            f"config.yaml: feature_encoder_spec {text[:200]!r} cannot be read: {error}; expected "
            "something like '[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2'"
        ) from None
    return tuple(layers)

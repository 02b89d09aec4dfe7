"""Draw ``docs/architecture.svg``: the rooms of the engine in layers, the tool chain beside them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import escape
from itertools import cycle
from pathlib import Path

PICTURE = Path(__file__).with_name("architecture.svg")

LAYERS = (
    {"cli": "the e2v command: one module per verb"},
    {"serve": "HTTP, WebSocket and the page"},
    {
        "batch": "folders → results, resumable",
        "embedder": "recordings → embeddings",
        "sinks": "brokers and web hooks",
    },
    {"recognizer": "the public face", "alerts": "rules with hysteresis"},
    {"streaming": "live windows", "turns": "segments of speech, given or found"},
    {"pipeline": "many recordings through one model"},
    {
        "runtime": "providers, sessions, chunks",
        "results": "utterance, timeline, writers",
        "corpora": "labelled speech, feedback",
        "voice": "speech in audio",
    },
    {
        "embeddings": "spaces, stores, search, maps",
        "fusion": "several senses together",
        "datasets": "shards, tables of audio",
    },
    {"audio": "any sound → 16 kHz blocks", "bundle": "the model on disk, verified"},
    {"fields": "", "objects": "", "settings": ""},
    {"files": "", "metrics": ""},
    {"display": "", "errors": "", "progress": "", "systemd": "", "telemetry": "", "version": ""},
)
"""Rooms of the engine with a line about each, from the top. A room may import rooms that lie below
it, and none beside it."""

TOOLS = {
    "benchmarks": "e2v bench",
    "quantize": "INT8 and FP16 variants",
    "export": "FunASR → ONNX, training",
}

WIDTH, MARGIN, GAP = 980, 20, 12
TOOL_WIDTH, LAYER_HEIGHT, FLAT_HEIGHT = 210, 64, 40
INK, SOFT, PAPER, FRAME = "#1f2933", "#52606d", "#ffffff", "#9fb3c8"
COLOURS = ("#fde8d7", "#fdf3d0", "#e3f4e1", "#d9f0ea", "#dcf1f2", "#dde9fb", "#e8e2f8")
FLAT_COLOUR = "#eceff2"
TOOL_COLOUR = "#fbe1e6"


def picture() -> str:
    """Text of the SVG."""
    heights = [LAYER_HEIGHT if any(layer.values()) else FLAT_HEIGHT for layer in LAYERS]
    bottom = MARGIN + 40 + sum(heights) + GAP * len(heights)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 2 * MARGIN}" '
        'role="img" font-family="system-ui, sans-serif" font-size="14">',
        "<title>Rooms of emotion2vec-edge and the direction of their imports</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{SOFT}"/></marker></defs>',
        *_tools(bottom),
        *_engine(heights, bottom),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _engine(heights: list[int], bottom: int) -> Iterator[str]:
    left = MARGIN + TOOL_WIDTH + 60
    right = WIDTH - MARGIN
    yield _frame(left, MARGIN, right - left, bottom - MARGIN, "engine/")
    inner, width = left + GAP, right - left - 2 * GAP - 38
    top = MARGIN + 40
    arrow = right - 32
    yield _arrow(arrow, top, arrow, bottom - GAP)
    yield (
        f'<text transform="translate({arrow + 11} {(top + bottom) / 2}) rotate(90)" '
        f'text-anchor="middle" font-size="12" fill="{SOFT}">imports go down, never up or aside'
        "</text>"
    )
    colours = cycle(COLOURS)
    for layer, height in zip(LAYERS, heights, strict=True):
        colour = next(colours) if height == LAYER_HEIGHT else FLAT_COLOUR
        share = (width - GAP * (len(layer) - 1)) / len(layer)
        for number, (name, text) in enumerate(layer.items()):
            x = inner + number * (share + GAP)
            yield _box(x, top, share, height, (name, text), colour)
        top += height + GAP


def _tools(bottom: int) -> Iterator[str]:
    yield _frame(MARGIN, MARGIN, TOOL_WIDTH, bottom - MARGIN, "tool chain")
    top, height = MARGIN + 40, 84
    step = (bottom - top - GAP - height) / (len(TOOLS) - 1)
    centre = MARGIN + TOOL_WIDTH / 2
    for number, (name, text) in enumerate(TOOLS.items()):
        y = top + number * step
        yield _box(MARGIN + GAP, y, TOOL_WIDTH - 2 * GAP, height, (f"{name}/", text), TOOL_COLOUR)
        if number:
            yield _arrow(centre, y - step + height, centre, y - 3)
        yield _arrow(MARGIN + TOOL_WIDTH - GAP, y + height / 2, MARGIN + TOOL_WIDTH + 57, y + 42)


def _frame(x: float, y: float, width: float, height: float, title: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="none" '
        f'stroke="{FRAME}" stroke-width="1.5"/>'
        f'<text x="{x + GAP:g}" y="{y + 26:g}" font-weight="600" font-size="16" fill="{INK}">'
        f"{escape(title)}</text>"
    )


def _box(
    x: float, y: float, width: float, height: float, words: tuple[str, str], colour: str
) -> str:
    name, text = words
    middle, centre = x + width / 2, y + height / 2
    shift = -4 if text else 5
    lines = (
        f'<text x="{middle:g}" y="{centre + shift:g}" text-anchor="middle" font-weight="600" '
        f'fill="{INK}">{escape(name)}</text>'
    )
    if text:
        lines += (
            f'<text x="{middle:g}" y="{centre + 16:g}" text-anchor="middle" font-size="12" '
            f'fill="{SOFT}">{escape(text)}</text>'
        )
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
        f'fill="{colour}" stroke="{FRAME}"/>{lines}'
    )


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    return (
        f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{SOFT}" '
        'stroke-width="1.5" marker-end="url(#tip)"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"wrote {PICTURE}\n")

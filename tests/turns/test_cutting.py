"""Turns cut out of a recording."""

import numpy as np

from emotion2vec_edge.engine.turns.cutting import cut_turns
from emotion2vec_edge.engine.turns.given import GivenTurn

RATE = 16_000


def test_cutting_holds_no_more_than_the_open_turns():
    blocks = [np.full(RATE, second, np.float32) for second in range(60)]
    given = [GivenTurn(float(s), s + 2.5) for s in range(0, 55, 3)] + [GivenTurn(56.0, 60.2)]
    for piece in cut_turns(iter(blocks), given, "x"):
        seconds = min(piece.turn.end, 60.0) - piece.turn.start
        assert len(piece.samples) == round(seconds * RATE)
        assert piece.samples[0] == piece.turn.start
        assert piece.samples[-1] == np.ceil(min(piece.turn.end, 60.0)) - 1

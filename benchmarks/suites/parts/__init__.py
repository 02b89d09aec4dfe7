"""The parts of ``e2v bench recordings``: folders, live audio, long recordings."""

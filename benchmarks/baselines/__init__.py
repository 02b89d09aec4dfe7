"""Other software that runs the same checkpoint, for comparison with the engine.

Each is an optional import and returns probabilities, so that a table also shows whether it computed
the same.
"""

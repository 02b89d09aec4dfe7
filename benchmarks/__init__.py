"""``e2v bench``: speed and accuracy of the engine, one command a question."""

"""What the engine costs and how right it is: a command for each question."""

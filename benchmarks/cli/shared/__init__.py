"""Options of several commands, and the way from a measurement to the terminal."""

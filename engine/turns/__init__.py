"""Turns of a conversation: found by voice activity or given in a file, each encoded alone."""

"""Outputs beside stdout: brokers and web hooks, each with a bounded queue and its own thread."""

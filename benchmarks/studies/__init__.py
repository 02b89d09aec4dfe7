"""Measurements of what is built on a model's results: similarity and fusion."""

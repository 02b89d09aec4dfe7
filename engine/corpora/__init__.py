"""Labelled speech: corpora of others, and corrections of one's own."""

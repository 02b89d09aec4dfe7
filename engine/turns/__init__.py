"""Turns of a conversation as other tools write them: readers, a module a family of formats."""

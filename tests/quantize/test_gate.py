"""The arithmetic of the quality gate."""

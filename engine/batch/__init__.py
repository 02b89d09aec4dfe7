"""Many recordings → a folder of results."""

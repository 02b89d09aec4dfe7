"""The results of a batch: their folder or prefix, its logs, and the tables at the end."""

"""The recordings of a batch: found, known as files or parts of datasets, and given places."""

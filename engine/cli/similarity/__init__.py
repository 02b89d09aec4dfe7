"""Verbs about embeddings: embed, search, similar, cluster, map, drift."""

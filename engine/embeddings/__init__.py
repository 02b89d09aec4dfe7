"""Embeddings as a tool: spaces to compare them in, stores, search, clusters, maps, and drift."""

"""The model bundle on disk: manifest, checksums, head, and where it is found."""

"""The measurements: each module takes settings and returns a document."""

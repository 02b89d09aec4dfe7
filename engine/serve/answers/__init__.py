"""Answers of the service: what is computed for them, their documents, and errors."""

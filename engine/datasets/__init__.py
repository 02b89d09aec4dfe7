"""Datasets: files that hold many recordings, read as streams."""

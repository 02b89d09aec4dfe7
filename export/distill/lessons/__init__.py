"""What the teachers make of speech: their rows on disk or as they are heard, and the batches."""

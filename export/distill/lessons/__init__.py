"""The lessons of a student: rows of the teachers on disk or as they are heard, and batches."""

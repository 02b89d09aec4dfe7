"""Tables and documents that hold a measurement, and their pages, pictures and comparisons."""

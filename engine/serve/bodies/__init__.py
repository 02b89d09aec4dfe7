"""Bodies of requests, taken in while they arrive."""

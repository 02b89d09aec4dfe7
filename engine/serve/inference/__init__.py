"""The model's one thread, and the view that each request has of the model.

The encoder is the bottleneck, and several passes at once are slower than one after the other. So
all passes run in one thread, a stretch of at most one chunk at a time: live windows come first,
then requests, then jobs, unless they have waited for long.
"""

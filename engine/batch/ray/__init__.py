"""Batches on a Ray cluster.

:class:`~.pool.RayWorkers` executes ``e2v batch --on ray``; :func:`recognize` is for pipelines of
Ray Data. Ray itself (the extra ``ray``) is imported when it is used.
"""

from .dataset import recognize

__all__ = ["recognize"]

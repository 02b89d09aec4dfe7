"""Batches on a Ray cluster.

:class:`~.pool.RayWorkers` executes ``e2v batch --on ray``. Ray itself (the extra ``ray``) is
imported when a cluster is joined.
"""

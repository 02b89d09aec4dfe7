"""``python -m emotion2vec_edge.engine.cli``: the ``e2v`` command where no script is on the path."""

from . import main

main()

"""The ``e2v`` command, run as a process of its own."""

import os
import subprocess
import sys

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]


def e2v(*args):
    """Run ``e2v`` to its end; stdout and stderr are bytes."""
    return subprocess.run(
        [*E2V, *map(str, args)], capture_output=True, env=os.environ.copy(), check=False
    )

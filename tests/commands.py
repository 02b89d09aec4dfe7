"""The `e2v` command in processes of its own."""

import json
import os
import pty
import subprocess
import sys

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]


def before_path(folder):
    """PYTHONPATH with a folder in front."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def e2v(*args, stdin=None, cwd=None, **env):
    """A finished process with its output as bytes."""
    return subprocess.run(
        [*E2V, *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **env},
        check=False,
    )


def reports(done):
    """The JSON lines of stdout."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def on_a_terminal(*args, cwd):
    """Exit code, and what a person would see of stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*E2V, *map(str, args)], stdout=subprocess.DEVNULL, stderr=theirs, cwd=cwd
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        seen += piece
    os.close(ours)
    return process.wait(60), seen.decode()

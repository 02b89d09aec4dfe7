"""A Ray cluster of two machines on this one, for tests: ``python tests/ray_cluster.py``.

It prints its address, loses its second machine when it reads a line, and ends with its stdin.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STORE_BYTES = 80 << 20
"""Bytes of a machine's object store; about the least that Ray takes."""

START_SECONDS = 120
"""Time for a machine of the cluster to start; Ray's own 30 s are little on a busy computer."""

VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "5",  # a machine that is lost is noticed in seconds
}


class RayCluster:
    """The cluster in a process of its own. A context manager."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, env={**os.environ, **VARIABLES},
        )  # fmt: skip
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            self.__exit__()
            raise AssertionError("the Ray cluster did not start")
        return self

    def actors(self):
        """Process ids of its actors."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit()
            and _command(entry).startswith("ray::Actor")
            and _parent(_parent(int(entry.name))) == self.process.pid
        ]

    def lose_machine(self):
        """Kill the second machine, at once."""
        self.process.stdin.write("lose\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "lost"

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def _command(entry):
    try:
        return (entry / "cmdline").read_text(errors="replace")
    except OSError:  # it has just ended
        return ""


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def patient(get_node):
    """Ray's look for a new machine, which waits for it longer."""

    def look(*args, **options):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return get_node(*args, **options)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    return look


def main():
    from ray._private import services
    from ray.cluster_utils import Cluster

    services.get_node = patient(services.get_node)
    # Ray writes the address there whatever its folder, which it does not make then.
    Path(tempfile.gettempdir(), "ray").mkdir(exist_ok=True)
    # Its name is short: those of sockets have limits.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temporary:
        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        cluster = Cluster(initialize_head=True, head_node_args={**head, "temp_dir": temporary})
        try:
            second = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
            sys.stdout.write(f"{cluster.address}\n")
            sys.stdout.flush()
            for _ in sys.stdin:
                cluster.remove_node(second, allow_graceful=False)
                sys.stdout.write("lost\n")
                sys.stdout.flush()
        finally:
            cluster.shutdown()


if __name__ == "__main__":
    main()

"""A Ray cluster of two machines on this one, for tests: ``python tests/ray_cluster.py``.

It prints its address, loses its second machine when it reads a line, and ends with its stdin.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

STORE_BYTES = 80 << 20
"""Bytes of a machine's object store; about the least that Ray takes."""

ATTEMPTS = 3
"""Times that the cluster is started: Ray gives up after 30 s, which a busy machine may need."""

VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",  # a machine that is lost is noticed in seconds
}


class RayCluster:
    """The cluster in a process of its own. A context manager."""

    def __enter__(self):
        for _ in range(ATTEMPTS):
            self.process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, env={**os.environ, **VARIABLES},
            )  # fmt: skip
            if address := self.process.stdout.readline().strip():
                self.address = address
                return self
            self.__exit__()
        raise AssertionError(f"the Ray cluster did not start, {ATTEMPTS} times in a row")

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


def main():
    from ray.cluster_utils import Cluster

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

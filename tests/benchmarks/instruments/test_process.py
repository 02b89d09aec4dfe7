"""Time and memory of a process that sleeps and allocates."""

import subprocess
import sys

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.instruments import process


@pytest.mark.slow
def test_the_peak_of_a_process_is_its_own():
    ballast = np.ones(50_000_000)
    seconds, peak = process.run(
        sys.executable, "-c", "import time; x = bytearray(60 << 20); time.sleep(0.3)"
    )
    assert ballast.sum() > 0
    assert 60 < peak < 90
    assert seconds > 0.3
    with pytest.raises(subprocess.CalledProcessError):
        process.run(sys.executable, "-c", "raise SystemExit(1)")


def test_a_process_that_writes_much_to_stderr_ends():
    seconds, _ = process.run(sys.executable, "-c", "import sys; sys.stderr.write('x' * 10**6)")
    assert seconds < 60
    with pytest.raises(subprocess.CalledProcessError) as failure:
        process.run(sys.executable, "-c", "import sys; sys.exit('x' * 10**6)")
    assert failure.value.stderr == b"x" * 10**6 + b"\n"

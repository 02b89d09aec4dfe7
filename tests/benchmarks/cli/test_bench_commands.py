"""The commands of ``e2v bench``: their help, without anything heavy."""

import json
import subprocess
import sys

import click
import pytest

from emotion2vec_edge.benchmarks.cli import bench
from emotion2vec_edge.engine.errors import OutputError


@pytest.mark.parametrize("command", bench.commands.values(), ids=lambda command: command.name)
def test_every_option_has_a_help(command):
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_the_help_loads_nothing_heavy():
    script = (
        "import json, sys\n"
        "from emotion2vec_edge.benchmarks.cli import bench\n"
        "for name in bench.commands:\n"
        "    bench.main([name, '--help'], standalone_mode=False)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"torch", "numpy", "onnxruntime", "soundfile", "av", "matplotlib"}


@pytest.mark.parametrize("command", ["report", "windows"])
def test_a_folder_that_cannot_be_made_is_told_before_measuring(e2v_bench, tmp_path, command):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/out: cannot be written"):
        e2v_bench(command, "--rounds", 1_000_000, "-o", tmp_path / "file" / "out")

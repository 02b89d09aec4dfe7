"""`e2v serve` without the packages that it needs; tests/serve runs it with them."""

import importlib.util
import subprocess
import sys

import pytest
from click.testing import CliRunner

from emotion2vec_edge.engine.cli.serve import serve
from emotion2vec_edge.engine.errors import MissingExtraError


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name)
    )
    done = CliRunner().invoke(serve, ["--port", "0"], standalone_mode=False)
    assert isinstance(done.exception, MissingExtraError)
    assert "uvicorn: pip install 'emotion2vec-edge[serve]'" in str(done.exception)


@pytest.mark.parametrize("verb", ["serve", "recognize"])
def test_the_help_does_not_load_the_service(verb):
    code = (
        "import sys; from emotion2vec_edge.engine.cli import cli\n"
        f"cli.main(['{verb}', '--help'], standalone_mode=False)\n"
        "assert not {'fastapi', 'starlette', 'numpy', 'uvicorn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

"""`e2v info`."""

import json

from commands import e2v


def test_info(tmp_path):
    text = e2v("info").stdout.decode()
    for fact in (
        "angry (生气)",
        "CC BY-NC-SA 4.0",
        " M parameters",
        "fp32",
        "parity",
        "lda, fitted on",
    ):
        assert fact in text
    assert json.loads(e2v("info", "--format", "json").stdout)["schema"] == 3

"""The OpenAPI document, and requests of every kind that are made from it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from serving import serving

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.store import Store


@pytest.mark.slow
def test_no_request_breaks_what_the_document_promises(tmp_path):
    """Schemathesis: no status, header or body that is not documented, and no failure."""
    command = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("SKIPPED LOUDLY: pip install schemathesis")
    store = Store.open(tmp_path / "store", open_bundle().manifest)
    store.append(np.eye(4, store.dim, dtype=np.float32), [StoredClip(f"{n}.wav") for n in range(4)])
    with serving(feedback=tmp_path / "feedback.sqlite", store=store.path) as running:
        done = subprocess.run(
            [command, "run", f"http://127.0.0.1:{running.port}/openapi.json",
             "--phases", "fuzzing", "--max-examples", "5", "--generation-deterministic",
             "--checks", "all",
             # A file may fit the schema, and be no audio.
             "--exclude-checks", "positive_data_acceptance"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-5_000:] + done.stderr
        assert running.metric("e2v_rejections_total", reason="E2VError") == 0
        assert running.service.spool.used == 0

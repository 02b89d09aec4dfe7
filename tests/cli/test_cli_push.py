"""`e2v push` and models of the hub on the command line, against a stand-in for the hub."""

import pytest
from commands import e2v
from hub_server import TOKEN, StandInHub

pytest.importorskip("huggingface_hub", reason="SKIPPED LOUDLY: no huggingface_hub")


@pytest.mark.slow
def test_a_bundle_goes_to_the_hub_and_is_used_from_there(tmp_path, example):
    hub = StandInHub()
    env = {
        "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    try:
        sent = e2v("push", "emotion2vec_small", "hf://me/small", "--language", "en", **env)
        assert (sent.returncode, sent.stderr) == (0, b"")
        assert sent.stdout.startswith(b"hf://me/small: emotion2vec_small sent, http://127.0.0.1")
        found = e2v("recognize", example, "--model", "hf://me/small", **env)
        assert (found.returncode, found.stderr) == (0, b"")
    finally:
        hub.close()
    offline = e2v("recognize", example, "--offline", **env, E2V_MODEL="hf://me/small")
    assert offline.stdout == found.stdout == e2v("recognize", example).stdout
    about = e2v("info", "hf://me/small", "--offline", **env)
    assert about.stdout.startswith(b"emotion2vec_small  (")
    gone = e2v("info", "hf://me/other", "--offline", **env)
    assert gone.returncode == 4
    assert b"not in the local cache" in gone.stderr


def test_a_target_that_is_no_name_of_the_hub(tmp_path):
    refused = e2v("push", "emotion2vec_small", "me/small")
    assert refused.returncode == 2
    assert b"give hf://owner/name" in refused.stderr

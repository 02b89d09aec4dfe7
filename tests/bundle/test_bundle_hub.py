"""Bundles on Hugging Face's hub, with the real client and a stand-in for the hub."""

import dataclasses
import sys

import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle.card import hub_card
from emotion2vec_edge.engine.bundle.hub import push_bundle
from emotion2vec_edge.engine.bundle.hub_name import HubName, parse_hub_name
from emotion2vec_edge.engine.errors import (
    BundleNotFoundError,
    BundleTamperedError,
    HubError,
    MissingExtraError,
    OptionError,
)

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""The client's own way to upload."""

NAME = "hf://someone/small"


def push(bundle, name, **options):
    card = hub_card(bundle)
    return push_bundle(bundle, parse_hub_name(name), card, private=False, **options)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hf://a/b", HubName("a/b")),
        ("hf://a-1/b.c_d@v1.0", HubName("a-1/b.c_d", "v1.0")),
        ("hf://a/b@refs/pr/3", HubName("a/b", "refs/pr/3")),
    ],
)
def test_names_are_read(text, name):
    assert parse_hub_name(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text", ["hf://", "hf://a", "hf://a/b/c", "hf://a/b@", "hf://a/b@../x", "hf://../b", "hf://-/b"]
)
def test_what_is_no_name_is_refused(text):
    with pytest.raises(OptionError, match="hf://owner/name"):
        open_bundle(text)


def test_a_model_of_the_hub_recognizes_and_is_fetched_once(hub, on_the_hub, example, monkeypatch):
    monkeypatch.setenv("E2V_MODEL", NAME)
    found = Recognizer.load(precision="int8").recognize(example)
    monkeypatch.delenv("E2V_MODEL")
    own = Recognizer.load("emotion2vec_small", precision="int8").recognize(example)
    assert found.scores == own.scores
    hub.requests.clear()
    Recognizer.load(NAME, precision="int8")
    assert not [path for method, path in hub.requests if method == "GET" and "resolve" in path]


def test_the_description_comes_without_the_graphs(hub, on_the_hub):
    bundle = open_bundle(NAME, manifest_only=True)
    assert bundle.manifest.name == "emotion2vec_small"
    assert not [path for _, path in hub.requests if path.endswith(".onnx")]


def test_a_revision_is_kept_while_the_branch_moves(hub, on_the_hub):
    first = hub.repositories["someone/small"]["main"]
    hub.repositories["someone/small"]["v1"] = first
    hub.add("someone/small", {"README.md": b"empty"})
    assert open_bundle(f"{NAME}@v1").folder.name == first
    assert open_bundle(f"{NAME}@{first}").folder.name == first
    with pytest.raises(BundleNotFoundError, match=r"no bundle\.json.*e2v push"):
        open_bundle(NAME)


def test_offline_takes_the_cache_and_asks_nobody(hub, on_the_hub, monkeypatch):
    with pytest.raises(HubError, match="without --offline"):
        open_bundle(NAME, offline=True)
    folder = open_bundle(NAME).folder
    hub.requests.clear()
    assert open_bundle(NAME, offline=True).folder == folder
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert open_bundle(NAME).folder == folder
    assert not hub.requests


def test_a_commit_that_is_cached_is_not_asked_for(hub, on_the_hub):
    commit = hub.repositories["someone/small"]["main"]
    folder = open_bundle(f"{NAME}@{commit}").folder
    hub.requests.clear()
    assert open_bundle(f"{NAME}@{commit}").folder == folder
    assert not hub.requests


def test_a_description_in_the_cache_is_no_model(hub, on_the_hub):
    open_bundle(NAME, manifest_only=True)
    assert open_bundle(NAME, offline=True, manifest_only=True).manifest.labels
    with pytest.raises(HubError, match="not in the local cache"):
        open_bundle(NAME, offline=True)


def test_errors_say_what_to_do(hub, on_the_hub):
    with pytest.raises(HubError, match=r"hf://no/body: .*no such repository.*HF_TOKEN"):
        open_bundle("hf://no/body")
    with pytest.raises(HubError, match="no such branch, tag or commit"):
        open_bundle(f"{NAME}@nothing")


def test_a_file_that_differs_from_its_checksum_is_refused(hub, on_the_hub):
    graph = open_bundle().manifest.variants["int8"].files[0].path
    hub.add("someone/bad", {**on_the_hub, graph: on_the_hub[graph][:-1] + b"\0"})
    with pytest.raises(BundleTamperedError, match="sha256"):
        Recognizer.load("hf://someone/bad", precision="int8")


def test_without_the_client_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"emotion2vec-edge\[hub\]"):
        open_bundle(NAME)


def test_a_bundle_is_sent_in_one_commit_and_comes_back(hub, copy):
    assert f"{hub.address}/me/mine/commit/" in push(open_bundle(copy), "hf://me/mine")
    assert len(hub.subjects) == 1
    files = hub.files("me/mine")
    assert files["bundle.json"] == (copy / "bundle.json").read_bytes()
    assert b"library_name: emotion2vec-edge" in files["README.md"]
    Recognizer.load("hf://me/mine", precision="int8")

    (copy / "fp32").rename(copy.parent / "away")  # a bundle without fp32 replaces it
    manifest = open_bundle(copy).manifest
    smaller = dataclasses.replace(manifest, variants={"int8": manifest.variants["int8"]})
    (copy / "bundle.json").write_text(smaller.to_json(), encoding="utf-8")
    push(open_bundle(copy), "hf://me/mine", message="INT8 alone")
    assert hub.subjects[-1] == "INT8 alone"
    assert not [path for path in hub.files("me/mine") if path.startswith("fp32/")]
    assert ".gitattributes" in hub.files("me/mine")


def test_a_branch_is_made_for_a_revision(hub, copy):
    push(open_bundle(copy), "hf://me/mine@next")
    assert "bundle.json" in hub.files("me/mine", "next")
    assert "bundle.json" not in hub.files("me/mine")


def test_a_damaged_bundle_and_a_wrong_token_send_nothing(hub, copy, monkeypatch):
    graph = copy / open_bundle(copy).manifest.variants["fp32"].files[0].path
    content = graph.read_bytes()
    graph.write_bytes(content[:-1])
    with pytest.raises(BundleTamperedError):
        push(open_bundle(copy), "hf://me/mine")
    graph.write_bytes(content)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"cannot be sent.*HF_TOKEN"):
        push(open_bundle(copy), "hf://me/mine")
    assert "me/mine" not in hub.repositories

"""Bundles found by path, by name and by default."""

import os

import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.errors import BundleNotFoundError


def test_the_default_is_embedded():
    assert open_bundle().folder == locate.EMBEDDED / locate.DEFAULT_NAME


def test_a_folder_of_the_default_name_is_not_mistaken_for_it(copy, monkeypatch):
    here = copy.rename(copy.with_name(locate.DEFAULT_NAME)).parent
    monkeypatch.chdir(here)
    assert open_bundle().folder == locate.EMBEDDED / locate.DEFAULT_NAME
    assert open_bundle(locate.DEFAULT_NAME).folder.absolute() == here / locate.DEFAULT_NAME


def test_a_bundle_is_found_by_path_name_manifest_and_variable(copy, monkeypatch):
    assert open_bundle(copy).folder == copy
    assert open_bundle(str(copy)).folder == copy
    assert open_bundle(copy / "bundle.json").folder == copy
    assert open_bundle("emotion2vec_small").manifest.name == "emotion2vec_small"
    monkeypatch.setenv("E2V_MODEL", str(copy))
    assert open_bundle().folder == copy


def test_a_missing_bundle_says_what_there_is(tmp_path, monkeypatch):
    with pytest.raises(BundleNotFoundError, match="no such path.*emotion2vec_small"):
        open_bundle("nothing")
    with pytest.raises(BundleNotFoundError, match="has no bundle.json"):
        open_bundle(tmp_path)
    with pytest.raises(BundleNotFoundError, match="File name too long"):
        open_bundle("n" * 5_000)
    with pytest.raises(BundleNotFoundError) as caught:
        open_bundle(os.fsdecode(b"\xff"))
    str(caught.value).encode()
    monkeypatch.setenv("E2V_MODEL", "gone")
    with pytest.raises(BundleNotFoundError, match="from E2V_MODEL"):
        open_bundle()

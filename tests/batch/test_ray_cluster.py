"""Addresses and room of a Ray cluster."""

import sys
from types import SimpleNamespace

import pytest

from emotion2vec_edge.engine.batch.ray import cluster
from emotion2vec_edge.engine.batch.ray.cluster import (
    Share,
    joined,
    number_of_workers,
    parse_address,
    ray_package,
)
from emotion2vec_edge.engine.errors import ClusterError, MissingExtraError, OptionError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ray", "auto"),
        ("ray://head", "ray://head:10001"),
        ("ray://head:7", "ray://head:7"),
        ("ray://[::1]:7/", "ray://[::1]:7"),
    ],
)
def test_an_address(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "spark", "ray:", "ray://", "ray://head:x", "http://head:1"])
def test_no_address(text):
    with pytest.raises(OptionError, match=r"give ray for the one .* or ray://HOST:10001"):
        parse_address(text)


def test_ray_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install "emotion2vec-edge\[ray\]"'):
        ray_package()


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr(
        cluster, "ray_package", lambda: SimpleNamespace(is_initialized=lambda: False)
    )
    with (
        pytest.raises(ClusterError, match="ray://127.0.0.1:9: no Ray cluster answers there: "),
        joined("ray://127.0.0.1:9"),
    ):
        pass


def test_the_part_of_a_machine():
    machine = {"CPU": 8.0, "GPU": 1.0, "memory": 1e9}
    assert Share(3).fits(machine) == 2
    assert Share(1, 0.25).fits(machine) == 4
    assert Share(1, 0.1).fits(machine) == 8
    assert Share(1, 2).fits(machine) == 0
    assert Share(1).fits({"memory": 1e9}) == 0


def fake_ray(*machines, free=None):
    nodes = [{"Alive": True, "Resources": resources} for resources in machines]
    return SimpleNamespace(nodes=lambda: nodes, available_resources=lambda: free or machines[0])


def test_as_many_workers_as_fit():
    ray = fake_ray({"CPU": 4.0}, {"CPU": 3.0})
    assert number_of_workers(ray, Share(2), None) == 3
    assert number_of_workers(ray, Share(2), 2) == 2


def test_a_cluster_that_is_too_small_says_what_it_has():
    ray = fake_ray({"CPU": 4.0, "node:10.0.0.1": 1.0, "node:__internal_head__": 1.0})
    with pytest.raises(ClusterError) as raised:
        number_of_workers(ray, Share(2), 3)
    assert str(raised.value) == (
        "the cluster has no room for 3 workers with 2 CPUs each, but for 2; it has 4 CPU and 0 GPU "
        "on 10.0.0.1"
    )
    with pytest.raises(ClusterError, match="1 worker with 1 CPU and 0.5 GPUs each, but for 0"):
        number_of_workers(ray, Share(1, 0.5), None)


def test_a_cluster_that_is_full_says_what_is_free(monkeypatch):
    monkeypatch.setattr(cluster, "FREE_SECONDS", 0.0)
    ray = fake_ray({"CPU": 4.0}, free={"CPU": 1.0})
    with pytest.raises(ClusterError, match="full: a worker takes 2 CPUs, and free are 1 CPU and"):
        number_of_workers(ray, Share(2), None)

"""The packages to install: every folder of the four rooms, under the name of the distribution."""

from setuptools import find_namespace_packages, setup

ROOMS = ("benchmarks", "engine", "export", "quantize")

found = find_namespace_packages(
    include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")],
    exclude=["*.__pycache__", "benchmarks.results", "benchmarks.results.*"],
)
setup(packages=[f"emotion2vec_edge.{name}" for name in found])

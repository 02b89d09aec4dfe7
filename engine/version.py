"""The version, where the command line finds it without importing anything else."""

__version__ = "0.1.0"

"""Verbs about this machine and its models: doctor, info, warmup."""

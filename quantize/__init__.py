"""Small and fast: variants of a bundle, each behind a gate that refuses a model that got worse."""

# Switches the telemetry of ONNX Runtime off, which modules of this package import on their own.
from emotion2vec_edge.engine import telemetry as telemetry

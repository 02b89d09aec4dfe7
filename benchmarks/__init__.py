"""``e2v bench``: speed and accuracy of the engine, one command a question."""

# Switches the telemetry of ONNX Runtime off, which modules of this package import on their own.
from emotion2vec_edge.engine import telemetry as telemetry

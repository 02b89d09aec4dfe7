"""What the engine costs and how right it is: a command for each question."""

# Switches the telemetry of ONNX Runtime off, which modules of this package import on their own.
from emotion2vec_edge.engine import telemetry as telemetry

"""torch → ONNX: a FunASR checkpoint becomes a bundle, proven equal to the original."""

# Switches the telemetry of ONNX Runtime off, which modules of this package import on their own.
from emotion2vec_edge.engine import telemetry as telemetry

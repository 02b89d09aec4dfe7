"""torch → ONNX: a FunASR checkpoint becomes a bundle, proven equal to the original."""

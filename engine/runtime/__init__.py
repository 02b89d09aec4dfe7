"""ONNX Runtime: execution providers, sessions, the model, and what is prepared for a machine."""

"""Rewrites of ONNX graphs: fused attention, convolutions in eight bits, channels made alike."""

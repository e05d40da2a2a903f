"""Exported students: ONNX graphs, and inference on pictures and video."""

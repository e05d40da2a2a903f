"""Pose models of other programs as ONNX or TFLite files."""

"""Export and check ONNX graphs, and run them in PyTorch or ONNX Runtime."""

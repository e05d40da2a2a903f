"""The exported student: as an ONNX graph, checked; and poses in files, by either."""

"""Benchmark of several branches on video."""

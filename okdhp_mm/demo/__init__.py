"""The demo: a training on human figures that the package draws, and pictures of its results."""

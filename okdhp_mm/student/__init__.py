"""Turn a branch of a trained network into a stock model."""

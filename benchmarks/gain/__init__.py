"""The parts of the gain benchmark, one idea per file."""

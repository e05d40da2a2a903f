"""The demo: human figures drawn by the package itself, and the pictures that show results."""

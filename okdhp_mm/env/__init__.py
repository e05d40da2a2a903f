"""The environment: versions, optional packages, and patches of stock code."""

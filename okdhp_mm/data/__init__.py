"""Checks of datasets before a training, and pictures that cannot be read during one."""

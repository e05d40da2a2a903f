"""Optimizer constructors."""

"""Datasets and samplers. This file imports none: the drawn figures do not need torch."""

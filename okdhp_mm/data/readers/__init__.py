"""Readers of other labeling tools' files, one module each, which make COCO JSON of them."""

from .deeplabcut import read_table

__all__ = ['read_table']

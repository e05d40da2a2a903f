"""Datasets and samplers of this package. Importing it registers them in mmpose's registries."""

from .mixed_sampler import MixedSampler
from .unlabeled import UnlabeledDataset

__all__ = ['MixedSampler', 'UnlabeledDataset']

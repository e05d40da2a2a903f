# As mean_ensemble, but that each branch counts by the inverse of its error.
_base_ = './mean_ensemble.py'
custom_imports = dict(imports=['gain.ideas'])
method = dict(aggregator=dict(type='LossWeightedMean'))

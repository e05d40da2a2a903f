# PCL with the plain mean, which nothing trains, in place of its fusion of features.
_base_ = '../../../configs/_base_/methods/pcl.py'
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(terms=dict(loss_ens=None)),
)

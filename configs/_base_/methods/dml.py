# DML (Zhang et al., CVPR 2018): every branch teaches every other. There is no ensemble; their mean
# is only reported. The paper's weight is 1, at once: thrice that, ramped up, gained more
# (docs/benchmarks.md).
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_kd=dict(
                type='MutualTerm',
                loss=dict(type='KLHeatmapLoss'),
                loss_weight=3.0,
                schedule=dict(type='GaussianRampUp'),
            ),
        ),
    ),
)

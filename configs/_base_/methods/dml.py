# DML (Zhang et al., CVPR 2018): every branch teaches every other. There is no ensemble; their mean
# is only reported.
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches'),
            loss_kd=dict(type='Mutual', loss=dict(type='KLHeatmapLoss')),
        ),
    ),
)

# As mse_half, by the mean of the branches with averaged weights.
method = dict(
    averaged=dict(momentum=0.001),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches', loss_weight=0.5),
            loss_kd=dict(
                type='Teach',
                teacher='averaged',
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                loss_weight=0.5,
            ),
        ),
    ),
)

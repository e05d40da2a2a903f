# Half the ground truth, half the mean of the branches, as FPD has its teacher.
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches', loss_weight=0.5),
            loss_kd=dict(
                type='Teach',
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                loss_weight=0.5,
            ),
        ),
    ),
)

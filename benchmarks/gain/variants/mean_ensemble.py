# OKDHP with the plain mean of the branches in place of the FAU.
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches'),
            loss_kd=dict(type='Teach', loss_weight=4.0, schedule=dict(type='GaussianRampUp')),
        ),
    ),
)

# OKDHP with the default's weight, but without its ramp-up.
method = dict(
    aggregator=dict(type='FAU'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches'),
            loss_ens=dict(type='Supervise', of='ensemble'),
            loss_kd=dict(type='Teach', loss=dict(type='KLHeatmapLoss'), loss_weight=4.0),
        ),
    ),
)

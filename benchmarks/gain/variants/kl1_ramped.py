# The default until 2026-11-21: a quarter of today's weight.
method = dict(
    aggregator=dict(type='FAU'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches'),
            loss_ens=dict(type='Supervise', of='ensemble'),
            loss_kd=dict(
                type='Teach',
                loss=dict(type='KLHeatmapLoss'),
                schedule=dict(type='GaussianRampUp'),
            ),
        ),
    ),
)

# ONE (Lan et al., NeurIPS 2018): a gate weights whole branches; their ensemble teaches them.
method = dict(
    aggregator=dict(type='Gate'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches'),
            loss_ens=dict(type='Supervise', of='ensemble'),
            loss_kd=dict(type='Teach', loss=dict(type='KLHeatmapLoss')),
        ),
    ),
)

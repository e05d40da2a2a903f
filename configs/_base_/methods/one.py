# ONE (Lan et al., NeurIPS 2018): a gate weights whole branches; their ensemble teaches them.
method = dict(
    aggregator=dict(type='Gate'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_ens=dict(type='SupervisedTerm', of='ensemble'),
            loss_kd=dict(type='DistillTerm', loss=dict(type='KLHeatmapLoss')),
        ),
    ),
)

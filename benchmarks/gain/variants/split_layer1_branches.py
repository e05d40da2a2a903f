# Branches without distillation that share the first stage alone.
method = dict(
    split='layer1',
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(type='Distiller', terms=dict(loss_kpt=dict(type='Supervise', of='branches'))),
)

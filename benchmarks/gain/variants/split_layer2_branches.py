# Branches without distillation that share the first two stages alone.
method = dict(
    split='layer2',
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(type='Distiller', terms=dict(loss_kpt=dict(type='Supervise', of='branches'))),
)

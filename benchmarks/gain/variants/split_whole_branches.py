# Branches without distillation that share the whole backbone.
method = dict(
    split='whole',
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(type='Distiller', terms=dict(loss_kpt=dict(type='Supervise', of='branches'))),
)

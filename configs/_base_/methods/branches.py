# Branches trained side by side without any distillation: what the distillation has to beat. Their
# mean is reported as the ensemble and teaches nobody.
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller', terms=dict(loss_kpt=dict(type='SupervisedTerm', of='branches'))
    ),
)

# Branches trained side by side without distillation, the baseline of the methods. Their mean is
# reported as the ensemble and does not teach.
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller', terms=dict(loss_kpt=dict(type='SupervisedTerm', of='branches'))
    ),
)

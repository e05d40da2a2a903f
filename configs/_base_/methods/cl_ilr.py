# CL-ILR (Song & Chai, NeurIPS 2018): the mean of the branches teaches them at half the weight, and
# the trunk learns by the mean of their gradients instead of their sum.
method = dict(
    trunk_grad='mean',
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_kd=dict(type='DistillTerm', loss=dict(type='KLHeatmapLoss'), loss_weight=0.5),
        ),
    ),
)

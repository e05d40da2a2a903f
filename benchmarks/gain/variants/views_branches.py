# Branches without distillation that see the images in other colours each: what `views` has to beat.
method = dict(
    views=dict(type='PhotometricViews'),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(type='Distiller', terms=dict(loss_kpt=dict(type='Supervise', of='branches'))),
)

# The student alone, that sees each image in other colours and deploys averaged weights.
method = dict(
    branches=1,
    views=dict(type='PhotometricViews'),
    averaged=dict(momentum=0.001),
    test_cfg=dict(averaged=True),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(type='Distiller', terms=dict(loss_kpt=dict(type='Supervise', of='branches'))),
)

# Control: one network with averaged weights and the color changes and hidden rectangles of the hard
# views on the labeled images, without unlabeled images and without distillation.
method = dict(
    branches=1,
    views=dict(type='PhotometricViews'),
    ema=dict(momentum=0.001),
    test_cfg=dict(ema=True),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller', terms=dict(loss_kpt=dict(type='SupervisedTerm', of='branches'))
    ),
)

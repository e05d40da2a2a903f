# Mean teacher (Tarvainen and Valpola, NeurIPS 2017): the averaged weights of one network see the
# plain unlabeled image and teach the network on a harder view. This is okdhp_unlabeled without
# branches. Give the images by --unlabeled.
method = dict(
    branches=1,
    ema=dict(momentum=0.001),
    test_cfg=dict(ema=True),
    unlabeled=dict(teacher='ema'),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_unlabeled=dict(type='UnlabeledTerm', schedule=dict(type='GaussianRampUp')),
        ),
    ),
)

# PoseDual (Xie et al., ICCV 2021): two branches. Each sees the plain unlabeled image and teaches
# the other on a harder view. Give the images by --unlabeled.
method = dict(
    branches=2,
    unlabeled=dict(teacher='peers', target='maps', flip_test=False),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_unlabeled=dict(type='UnlabeledTerm', schedule=dict(type='GaussianRampUp')),
        ),
    ),
)

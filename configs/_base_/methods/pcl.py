# PCL (Wu & Gong, AAAI 2021): each peer sees the images in other colors; their fusion teaches all
# of them, and the others' averaged weights teach each. What is deployed has averaged weights. The
# ramp-up is the paper's: 80 of 300 epochs.
method = dict(
    views=dict(type='PhotometricViews'),
    ema=dict(momentum=0.001),
    test_cfg=dict(ema=True),
    aggregator=dict(type='FeatureFusion'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_ens=dict(type='SupervisedTerm', of='ensemble'),
            loss_kd=dict(
                type='DistillTerm',
                loss=dict(type='KLHeatmapLoss'),
                schedule=dict(type='GaussianRampUp', end=80 / 300),
            ),
            loss_peers=dict(
                type='MutualTerm',
                by='ema',
                loss=dict(type='KLHeatmapLoss'),
                schedule=dict(type='GaussianRampUp', end=80 / 300),
            ),
        ),
    ),
)

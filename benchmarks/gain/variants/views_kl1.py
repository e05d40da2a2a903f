# OKDHP whose branches see the images in other colours each, by a quarter of the default's weight,
# and that deploys averaged weights.
method = dict(
    views=dict(type='PhotometricViews'),
    averaged=dict(momentum=0.001),
    test_cfg=dict(averaged=True),
    distiller=dict(terms=dict(loss_kd=dict(loss_weight=1.0))),
)

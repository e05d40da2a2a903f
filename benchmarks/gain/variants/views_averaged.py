# OKDHP whose branches see the images in other colours each, and that deploys averaged weights.
method = dict(
    views=dict(type='PhotometricViews'),
    averaged=dict(momentum=0.001),
    test_cfg=dict(averaged=True),
)

# The student alone, that sees each image in other colours and deploys averaged weights.
_base_ = '../../../configs/_base_/methods/branches.py'
method = dict(
    branches=1,
    views=dict(type='PhotometricViews'),
    averaged=dict(momentum=0.001),
    test_cfg=dict(averaged=True),
)

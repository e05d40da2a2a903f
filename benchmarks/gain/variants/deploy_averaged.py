# OKDHP that deploys a branch with averaged weights.
method = dict(averaged=dict(momentum=0.001), test_cfg=dict(averaged=True))

# OKDHP that also learns from unlabeled images: the ensemble of the averaged weights sees the plain
# image and teaches every branch on a harder view of its own. What is deployed has averaged weights.
# Give the images by --unlabeled.
method = dict(
    ema=dict(momentum=0.001),
    test_cfg=dict(ema=True),
    unlabeled=dict(teacher='ema'),
    distiller=dict(
        terms=dict(loss_unlabeled=dict(type='UnlabeledTerm', schedule=dict(type='GaussianRampUp')))
    ),
)

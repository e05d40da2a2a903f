# KDCL-Naive (Guo et al., CVPR 2020): for each keypoint the branch that is nearest to the ground
# truth teaches all. The paper's students differ in size: see `branches` of the unbalanced configs.
method = dict(
    aggregator=dict(type='BestBranch'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_kd=dict(type='DistillTerm', loss=dict(type='KLHeatmapLoss')),
        ),
    ),
)

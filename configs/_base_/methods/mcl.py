# MCL-OKD (Yang et al., ICASSP 2021): the branches agree on what each joint looks like, and their
# mean teaches the one that is deployed: branch 0 here, the last one in the paper.
method = dict(
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_mcl=dict(type='ContrastiveTerm'),
            loss_kd=dict(
                type='DistillTerm',
                students=[0],
                loss=dict(type='KLHeatmapLoss'),
                schedule=dict(type='GaussianRampUp'),
            ),
        ),
    ),
)

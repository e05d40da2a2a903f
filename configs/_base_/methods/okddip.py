# OKDDip (Chen et al., AAAI 2020): each peer learns from its own mixture of the peers, and the group
# leader, branch 0, which is deployed, from their mean. The teachers are not detached: by them the
# attention learns.
method = dict(
    aggregator=dict(type='PeerAttention', leader=0),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_kd=dict(
                type='PeerDistillTerm',
                loss=dict(type='KLHeatmapLoss', detach_target=False),
                # The paper ramps up over 80 of 300 epochs.
                schedule=dict(type='GaussianRampUp', end=80 / 300),
            ),
        ),
    ),
)

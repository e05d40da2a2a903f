# OKDHP as the authors' release computes it, without its wrong indices; see docs/okdhp.md.
method = dict(
    aggregator=dict(type='FAU', form='released'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            # mmpose's KeypointMSELoss is twice the authors' MSE: 0.5 makes their ensemble weight 1
            # and their distillation weight 2 mean what they mean there.
            loss_kpt=dict(type='SupervisedTerm', of='branches', loss_weight=0.5),
            loss_ens=dict(type='SupervisedTerm', of='ensemble', loss_weight=0.5 * 1.0),
            loss_kd=dict(
                type='DistillTerm',
                loss=dict(
                    type='KLHeatmapLoss', reduction='official', detach_target=False, loss_weight=2.0
                ),
                schedule=dict(type='GaussianRampUp', end=60 / 150),
            ),
        ),
    ),
)

# FFL (Kim et al., 2019): the mean of the branches teaches their fusion, which teaches them. The
# ramp-up is the authors': 80 of 300 epochs.
method = dict(
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
            loss_mean=dict(
                type='DistillTerm',
                teacher='mean',
                students='ensemble',
                loss=dict(type='KLHeatmapLoss'),
                schedule=dict(type='GaussianRampUp', end=80 / 300),
            ),
        ),
    ),
)

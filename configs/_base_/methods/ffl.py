# FFL (Kim et al., 2019): the mean of the branches teaches their fusion, which teaches them. The
# ramp-up is the authors': 80 of 300 epochs.
method = dict(
    aggregator=dict(type='FeatureFusion'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches'),
            loss_ens=dict(type='Supervise', of='ensemble'),
            loss_kd=dict(
                type='Teach',
                loss=dict(type='KLHeatmapLoss'),
                schedule=dict(type='GaussianRampUp', end=80 / 300),
            ),
            loss_mean=dict(
                type='Teach',
                teacher='mean',
                students='ensemble',
                loss=dict(type='KLHeatmapLoss'),
                schedule=dict(type='GaussianRampUp', end=80 / 300),
            ),
        ),
    ),
)

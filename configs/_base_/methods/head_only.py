# A second, short stage, after DWPose (Yang et al., 2023): a trained student learns with its head
# alone from the ensemble that it was cut out of. To be named: load_from=student.pth
# model.aggregator.config=RUN/CONFIG.py model.aggregator.checkpoint=RUN/CHECKPOINT.pth
method = dict(
    branches=1,
    freeze_backbone=True,
    aggregator=dict(type='FrozenTeacher', output='ensemble'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches'),
            loss_kd=dict(type='Teach', loss=dict(type='KLHeatmapLoss')),
        ),
    ),
)

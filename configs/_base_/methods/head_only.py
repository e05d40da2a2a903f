# A second, short stage, after DWPose (Yang et al., 2023): a trained student learns with its head
# alone from the ensemble that it was cut out of. Name the files: load_from=student.pth
# model.teacher.config=RUN/CONFIG.py model.teacher.checkpoint=RUN/CHECKPOINT.pth
method = dict(
    branches=1,
    freeze_backbone=True,
    teacher=dict(type='FrozenTeacher', output='ensemble'),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_kd=dict(type='DistillTerm', teacher='frozen', loss=dict(type='KLHeatmapLoss')),
        ),
    ),
)

# FPD (Zhang et al., CVPR 2019): offline distillation. The plain student learns from a frozen
# teacher. Name its files by
# --cfg-options model.teacher.config=TEACHER.py model.teacher.checkpoint=TEACHER.pth
method = dict(
    branches=1,
    teacher=dict(type='FrozenTeacher'),
    aggregator=dict(type='MeanAggregator'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            # The paper's: half the ground truth, half the teacher.
            loss_kpt=dict(type='SupervisedTerm', of='branches', loss_weight=0.5),
            loss_kd=dict(
                type='DistillTerm',
                teacher='frozen',
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                loss_weight=0.5,
            ),
        ),
    ),
)

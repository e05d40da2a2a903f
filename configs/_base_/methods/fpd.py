# FPD (Zhang et al., CVPR 2019): offline, the plain student beside a frozen teacher, which is to be
# named: --cfg-options model.aggregator.config=TEACHER.py model.aggregator.checkpoint=TEACHER.pth
method = dict(
    branches=1,
    aggregator=dict(type='FrozenTeacher'),
    distiller=dict(
        type='Distiller',
        terms=dict(
            # The paper's: half the ground truth, half the teacher.
            loss_kpt=dict(type='Supervise', of='branches', loss_weight=0.5),
            loss_kd=dict(
                type='Teach',
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                loss_weight=0.5,
            ),
        ),
    ),
)

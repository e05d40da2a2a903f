# Two stages: the student alone, taught by the frozen ensemble of the arm 'branches'.
run = 'work_dirs/gain/resnet18/branches/seed0/'
method = dict(
    branches=1,
    aggregator=dict(
        type='FrozenTeacher',
        config=run + 'config.py',
        checkpoint=run + 'last.pth',
        output='ensemble',
    ),
    distiller=dict(
        type='Distiller',
        terms=dict(
            loss_kpt=dict(type='Supervise', of='branches', loss_weight=0.1),
            loss_kd=dict(
                type='Teach',
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                loss_weight=0.9,
            ),
        ),
    ),
)

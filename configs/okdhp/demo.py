# The demo: a small HRNet from scratch on the figures that the package draws, minutes on a CPU.
_base_ = './hrnet_w32_coco.py'

codec = dict(
    type='MSRAHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=1.0, unbiased=True,
    blur_kernel_size=5)  # fmt: skip
data_root = 'demo_out/data/'
method_name = 'okdhp'  # for the overview and the model card


def stage(num_branches, num_channels):
    return dict(
        num_modules=1,
        block='BASIC',
        num_blocks=(1,) * num_branches,
        num_channels=num_channels,
    )


model = dict(
    backbone=dict(
        init_cfg=None,
        extra=dict(
            stage1=stage(1, (32,)),
            stage2=stage(2, (16, 32)),
            stage3=stage(3, (16, 32, 64)),
            stage4=stage(4, (16, 32, 64, 128)),
        ),
    ),
    head=dict(in_channels=16, decoder=codec),
    # A quarter of the default's distillation: nine epochs are too short for all of it.
    distiller=dict(terms=dict(loss_kd=dict(loss_weight=1.0))),
)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, bbox_file=None, pipeline=val_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(metric=dict(ann_file=f'{data_root}annotations/person_keypoints_val2017.json'))
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=9)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=4e-3, weight_decay=0))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.05, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=9, eta_min=4e-5, convert_to_iter_based=True),
]
randomness = dict(seed=0)

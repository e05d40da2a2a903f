# ResNet-18 with SimCC on MPII, 256x256, for devices that run deconvolutions slowly:
# three branches that part after layer2, each with its own SimCC head.
_base_ = 'mmpose::body_2d_keypoint/simcc/mpii/simcc_res50_wo-deconv-8xb64-210e_mpii-256x256.py'
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

model = dict(
    type='OKDHPTopdownPoseEstimator',
    branches=3,
    split='layer2',
    backbone=dict(depth=18, init_cfg=dict(checkpoint='torchvision://resnet18')),
    head=dict(in_channels=512),
)
default_hooks = dict(
    distill=dict(type='DistillProgressHook'), report=dict(type='DistillReportHook')
)
visualizer = dict(vis_backends=[*_base_.vis_backends, dict(type='TensorboardVisBackend')])
val_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.val_evaluator)
test_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.test_evaluator)

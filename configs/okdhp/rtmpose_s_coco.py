# RTMPose-s on COCO, 256x192: three branches above stage 2, each with its own SimCC head. Its
# augmentation needs albumentations: pip install -c constraints.txt "albumentations<1.4".
_base_ = 'mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192.py'
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

model = dict(type='OKDHPTopdownPoseEstimator', branches=3, split='stage2')
default_hooks = dict(
    distill=dict(type='DistillProgressHook'), report=dict(type='DistillReportHook')
)
visualizer = dict(vis_backends=[*_base_.vis_backends, dict(type='TensorboardVisBackend')])
val_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.val_evaluator)
test_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.test_evaluator)

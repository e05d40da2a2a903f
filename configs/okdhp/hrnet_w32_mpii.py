# HRNet-W32 on MPII, 256x256: three branches above stage 3.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_hrnet-w32_8xb64-210e_mpii-256x256.py'
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

model = dict(type='OKDHPTopdownPoseEstimator', branches=3, split='stage3')
default_hooks = dict(
    distill=dict(type='DistillProgressHook'), report=dict(type='DistillReportHook')
)
visualizer = dict(vis_backends=[*_base_.vis_backends, dict(type='TensorboardVisBackend')])
val_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.val_evaluator)
test_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.test_evaluator)

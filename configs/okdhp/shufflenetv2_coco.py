# ShuffleNetV2 on COCO, 256x192. The branches part after layer1 (docs/benchmarks.md#where-to-part);
# the paper's share the whole encoder: split='whole'.
_base_ = (
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_shufflenetv2_8xb64-210e_coco-256x192.py'
)
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

model = dict(type='OKDHPTopdownPoseEstimator', branches=3, split='layer1')
default_hooks = dict(
    distill=dict(type='DistillProgressHook'), report=dict(type='DistillReportHook')
)
visualizer = dict(vis_backends=[*_base_.vis_backends, dict(type='TensorboardVisBackend')])
val_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.val_evaluator)
test_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.test_evaluator)

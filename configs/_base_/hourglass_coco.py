# The paper's stacked hourglass on COCO, 256x192, trained as the authors do on MPII.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py',
    './authors_recipe.py',
]
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

# A leaf says how many stacks, and after which the branches part.
model = dict(
    type='OKDHPTopdownPoseEstimator',
    branches=3,
    backbone=dict(_delete_=True, type='StackedHourglass', num_keypoints=17),
    head=dict(
        type='CPMHead',
        in_channels=17,
        deconv_out_channels=None,
        final_layer=None,  # the stacks make the heatmaps themselves
    ),
)
train_pipeline = [
    dict(step, **_base_.recipe.augment.get(step['type'], {}))
    for step in _base_.train_pipeline
    if step['type'] != 'RandomHalfBody'
]
train_dataloader = dict(batch_size=_base_.recipe.batch_size, dataset=dict(pipeline=train_pipeline))
train_cfg = _base_.recipe.train_cfg
optim_wrapper = _base_.recipe.optim_wrapper
param_scheduler = _base_.recipe.param_scheduler
auto_scale_lr = _base_.recipe.auto_scale_lr
default_hooks = dict(
    distill=dict(type='DistillProgressHook'), report=dict(type='DistillReportHook')
)
visualizer = dict(vis_backends=[*_base_.vis_backends, dict(type='TensorboardVisBackend')])
val_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.val_evaluator)
test_evaluator = dict(_delete_=True, type='MultiOutputMetric', metric=_base_.test_evaluator)

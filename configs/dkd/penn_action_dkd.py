# DKD on Penn Action: ResNet-50 finds the first pose, ResNet-18 follows it.
_base_ = '../_base_/dkd/penn_action.py'
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

model = dict(
    _delete_=True, type='DKDPoseEstimator', initializer=_base_.model,
    initializer_checkpoint='work_dirs/penn_action_initializer/epoch_20.pth',
    distillator=dict(channels=64, kernel_size=7),
    backbone=dict(type='ResNet', depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')),
    neck=dict(type='HeatmapHead', in_channels=512, out_channels=64, final_layer=None,
        deconv_out_channels=(64, 64, 64), deconv_kernel_sizes=(4, 4, 4)),
)  # fmt: skip
optim_wrapper = dict(clip_grad=dict(max_norm=1))
clips = dict(_delete_=True, type='ClipDataset')
train_dataloader = dict(
    batch_size=16, collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, dataset=_base_.train_dataset, frames=5))  # fmt: skip
val_dataloader = dict(
    batch_size=4, collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, dataset=_base_.val_dataset))  # fmt: skip
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClipMetric', metric=_base_.val_evaluator)
test_evaluator = val_evaluator

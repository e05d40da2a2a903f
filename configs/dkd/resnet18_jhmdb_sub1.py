# DKD on JHMDB, split 1: mmpose's ResNet-50 finds the first pose, ResNet-18 follows it. Train the
# initializer by its stock config, the _base_ of this file, first.
_base_ = (
    'mmpose::body_2d_keypoint/topdown_heatmap/jhmdb/td-hm_res50_8xb64-20e_jhmdb-sub1-256x256.py'
)
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

load_from = None
trained = 'work_dirs/td-hm_res50_8xb64-20e_jhmdb-sub1-256x256/epoch_20.pth'
model = dict(
    _delete_=True, type='DKDPoseEstimator', initializer=_base_.model,
    initializer_checkpoint=trained, distillator=dict(channels=64, kernel_size=7),
    backbone=dict(type='ResNet', depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')),
    neck=dict(type='HeatmapHead', in_channels=512, out_channels=64, final_layer=None,
        deconv_out_channels=(64, 64, 64), deconv_kernel_sizes=(4, 4, 4)),
)  # fmt: skip
optim_wrapper = dict(clip_grad=dict(max_norm=1))
clips = dict(_delete_=True, type='ClipDataset')
train_dataloader = dict(
    batch_size=16, collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, dataset=_base_.train_dataloader.dataset, frames=5))  # fmt: skip
val_dataloader = dict(
    batch_size=4, collate_fn=dict(type='pseudo_collate'),
    dataset=dict(**clips, dataset=_base_.val_dataloader.dataset))  # fmt: skip
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClipMetric', metric=_base_.val_evaluator[0])
test_evaluator = val_evaluator

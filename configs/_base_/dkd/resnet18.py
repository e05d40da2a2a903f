# What follows a large network's pose: ResNet-18 with 64 channels of stride 4, on clips of 5 frames.
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

follower = dict(
    _delete_=True, type='DKDPoseEstimator', distillator=dict(channels=64, kernel_size=7),
    backbone=dict(type='ResNet', depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')),
    neck=dict(type='HeatmapHead', in_channels=512, out_channels=64, final_layer=None,
        deconv_out_channels=(64, 64, 64), deconv_kernel_sizes=(4, 4, 4)),
)  # fmt: skip
follower_optim_wrapper = dict(clip_grad=dict(max_norm=1))
whole_tracks = dict(_delete_=True, type='ClipDataset')
short_clips = dict(whole_tracks, frames=5)
train_clips = dict(batch_size=16, collate_fn=dict(type='pseudo_collate'))
val_clips = dict(batch_size=4, collate_fn=dict(type='pseudo_collate'))

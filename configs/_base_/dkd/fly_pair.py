# Two flies, 1,500 frames (SLEAP's example, talmolab/sleap), in data/fly_pair/. benchmarks/dkd.py
# writes train.json and test.json there: interleaved blocks of 40 frames.
_base_ = 'mmpose::_base_/default_runtime.py'
custom_imports = dict(imports=['okdhp_mm'], allow_failed_imports=False)

codec = dict(type='MSRAHeatmap', input_size=(96, 96), heatmap_size=(24, 24), sigma=1.0)
names = [
    *('head', 'thorax', 'abdomen', 'wingL', 'wingR', 'forelegL4', 'forelegR4'),
    *('midlegL4', 'midlegR4', 'hindlegL4', 'hindlegR4', 'eyeL', 'eyeR'),
]
mirrored = dict(L='R', R='L')
swaps = [next((n.replace(a, b) for a, b in mirrored.items() if a in n), '') for n in names]
links = [('head', 'thorax'), ('thorax', 'abdomen'), ('thorax', 'wingL'), ('thorax', 'wingR')]
metainfo = dict(
    dataset_name='fly_pair',
    paper_info=dict(title='SLEAP', homepage='https://sleap.ai'),
    keypoint_info={
        i: dict(name=name, id=i, color=[255, 128, 0], type='', swap=swap)
        for i, (name, swap) in enumerate(zip(names, swaps, strict=True))
    },
    skeleton_info={i: dict(link=link, id=i, color=[255, 128, 0]) for i, link in enumerate(links)},
    joint_weights=[1.0] * len(names),
    sigmas=[0.05] * len(names),
)

# The stock model that every network here is a variant of: `channels` wide, `stages` of ResNet-18.
data_preprocessor = dict(
    type='PoseDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
loss = dict(type='KeypointMSELoss', use_target_weight=True)
initializer = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet', depth=18, stem_channels=16, base_channels=16,
        num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)),
    head=dict(
        type='HeatmapHead', in_channels=64, out_channels=len(names),
        deconv_out_channels=(32, 32), deconv_kernel_sizes=(4, 4), loss=loss, decoder=codec),
    test_cfg=dict(flip_test=False),
)  # fmt: skip
# Features of stride 4, the size of the heatmaps.
encoder = dict(
    type='ResNet', depth=18, stem_channels=8, base_channels=8,
    num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))  # fmt: skip

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    # Flies walk in any direction.
    dict(type='RandomBBoxTransform', shift_prob=0, rotate_prob=1, rotate_factor=180,
        scale_factor=(0.85, 1.15)),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]  # fmt: skip
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
data_root = 'data/fly_pair/'
train_dataset = dict(
    type='CocoDataset', data_root=data_root, ann_file='train.json', data_prefix=dict(img=''),
    metainfo=metainfo, pipeline=train_pipeline)  # fmt: skip
val_dataset = dict(train_dataset, ann_file='test.json', pipeline=val_pipeline, test_mode=True)
train_dataloader = dict(
    batch_size=64, num_workers=1, persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True), dataset=train_dataset)  # fmt: skip
val_dataloader = dict(
    batch_size=64, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=val_dataset)  # fmt: skip
test_dataloader = val_dataloader
val_evaluator = dict(type='PCKAccuracy', thr=0.1)
test_evaluator = val_evaluator

iterations = 1000
train_cfg = dict(by_epoch=False, max_iters=iterations, val_interval=iterations)
val_cfg = dict()
test_cfg = dict()
# Pose kernels start large: without warm-up and clipping, the first steps diverge. At 2e-3, some
# legs are not found after 1,000 iterations.
optim_wrapper = dict(optimizer=dict(type='Adam', lr=6e-3), clip_grad=dict(max_norm=1))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, begin=0, end=100, start_factor=0.01),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100, end=iterations, eta_min=1e-5),
]
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(by_epoch=False, interval=iterations))
log_processor = dict(by_epoch=False)

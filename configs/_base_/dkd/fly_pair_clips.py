# The same flies in clips of four frames; evaluated by whole tracks.
_base_ = './fly_pair.py'

model = dict(
    type='DKDPoseEstimator',
    initializer=_base_.initializer,
    initializer_checkpoint='work_dirs/fly_pair_initializer/iter_1000.pth',
    backbone=_base_.encoder,
)
train_dataloader = dict(
    batch_size=16,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        _delete_=True, type='ClipDataset', dataset=_base_.train_dataset, frames=4, step=1),
)  # fmt: skip
val_dataloader = dict(
    batch_size=9,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(_delete_=True, type='ClipDataset', dataset=_base_.val_dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClipMetric', metric=_base_.val_evaluator)
test_evaluator = val_evaluator

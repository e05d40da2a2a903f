# DKD on Penn Action: ResNet-50 finds the first pose, ResNet-18 follows it.
_base_ = ['../_base_/dkd/penn_action.py', '../_base_/dkd/resnet18.py']

model = dict(
    _base_.follower, initializer=_base_.model,
    initializer_checkpoint='work_dirs/penn_action_initializer/epoch_20.pth',
)  # fmt: skip
optim_wrapper = _base_.follower_optim_wrapper
train_dataloader = dict(
    _base_.train_clips, dataset=dict(_base_.short_clips, dataset=_base_.train_dataset)
)
val_dataloader = dict(
    _base_.val_clips, dataset=dict(_base_.whole_tracks, dataset=_base_.val_dataset)
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClipMetric', metric=_base_.val_evaluator)
test_evaluator = val_evaluator

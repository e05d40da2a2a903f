# DKD on JHMDB, split 1: mmpose's ResNet-50 finds the first pose, ResNet-18 follows it. Train the
# initializer by its stock config, the first _base_ of this file, before.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/jhmdb/td-hm_res50_8xb64-20e_jhmdb-sub1-256x256.py',
    '../_base_/dkd/resnet18.py',
]

load_from = None
trained = 'work_dirs/td-hm_res50_8xb64-20e_jhmdb-sub1-256x256/epoch_20.pth'
model = dict(_base_.follower, initializer=_base_.model, initializer_checkpoint=trained)
optim_wrapper = _base_.follower_optim_wrapper
train_dataloader = dict(
    _base_.train_clips, dataset=dict(_base_.short_clips, dataset=_base_.train_dataloader.dataset)
)
val_dataloader = dict(
    _base_.val_clips, dataset=dict(_base_.whole_tracks, dataset=_base_.val_dataloader.dataset)
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='ClipMetric', metric=_base_.val_evaluator[0])
test_evaluator = val_evaluator

# Control of DKD, nothing to train: the initializer on every fifth frame, its pose is repeated.
_base_ = '../_base_/dkd/fly_pair_clips.py'

model = dict(distillator=dict(type='LastHeatmaps'), reinitialize_every=5)

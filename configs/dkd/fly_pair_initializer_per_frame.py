# Control of DKD, nothing to train: the initializer on every frame.
_base_ = '../_base_/dkd/fly_pair_clips.py'

model = dict(reinitialize_every=1)

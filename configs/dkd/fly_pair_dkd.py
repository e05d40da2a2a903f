# DKD on two flies: the initializer finds every tenth pose of a track, so that errors do not add up.
_base_ = '../_base_/dkd/fly_pair_clips.py'

model = dict(reinitialize_every=10)

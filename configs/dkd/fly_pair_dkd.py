# DKD on two flies: the initializer finds the pose in a track's first frame only.
_base_ = '../_base_/dkd/fly_pair_clips.py'

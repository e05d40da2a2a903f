# Control of DKD: the last frame's heatmaps are extra channels of the frame encoder's features.
_base_ = '../_base_/dkd/fly_pair_clips.py'

model = dict(distillator=dict(type='PreviousHeatmaps'))

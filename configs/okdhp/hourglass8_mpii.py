# Stacked hourglass of 8 stacks on MPII, 256x256: four are shared, four are each branch's own.
_base_ = '../_base_/hourglass_mpii.py'

model = dict(split='stack4', backbone=dict(num_stacks=8), head=dict(num_stages=8))

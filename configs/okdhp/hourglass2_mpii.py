# Stacked hourglass of 2 stacks on MPII, 256x256: one is shared, one is each branch's own.
_base_ = '../_base_/hourglass_mpii.py'

model = dict(split='stack1', backbone=dict(num_stacks=2), head=dict(num_stages=2))

# Stacked hourglass of 4 stacks on MPII, 256x256: two are shared, two are each branch's own.
_base_ = '../_base_/hourglass_mpii.py'

model = dict(split='stack2', backbone=dict(num_stacks=4), head=dict(num_stages=4))

# Stacked hourglass of 4 stacks on COCO, 256x192: two are shared, two are each branch's own.
_base_ = '../_base_/hourglass_coco.py'

model = dict(split='stack2', backbone=dict(num_stacks=4), head=dict(num_stages=4))

# The paper's unbalanced scheme: 2 shared stacks under 2, 4 and 6: students of 4, 6 and 8 stacks.
_base_ = './hourglass4_mpii.py'

model = dict(
    split='stack2',
    branches=[
        dict(),
        dict(backbone=dict(num_stacks=6), head=dict(num_stages=6)),
        dict(backbone=dict(num_stacks=8), head=dict(num_stages=8)),
    ],
)

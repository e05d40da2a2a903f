# Three students of one run: stage 4 of HRNet-W32 with three modules (stock), one and five.
_base_ = './hrnet_w32_mpii.py'

model = dict(
    branches=[
        dict(),
        dict(backbone=dict(extra=dict(stage4=dict(num_modules=1)))),
        dict(backbone=dict(extra=dict(stage4=dict(num_modules=5)))),
    ]
)

# Three students of one run: ResNet-18s that part after layer2, with decoders of three widths.
_base_ = './resnet18_mpii.py'

model = dict(
    branches=[
        dict(),
        dict(head=dict(deconv_out_channels=(128, 128, 128))),
        dict(head=dict(deconv_out_channels=(64, 64, 64))),
    ]
)

# Control of DKD: its frame encoder with a stock head, per frame.
_base_ = '../_base_/dkd/fly_pair.py'

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=_base_.encoder,
    head=dict(
        type='HeatmapHead', in_channels=8, out_channels=len(_base_.names),
        deconv_out_channels=None, loss=_base_.loss, decoder=_base_.codec),
)  # fmt: skip

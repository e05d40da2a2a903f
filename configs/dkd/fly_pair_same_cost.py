# Control of DKD: two more layers instead of pose kernels, per frame, for at least as many MACs.
_base_ = './fly_pair_same_encoder.py'

model = dict(head=dict(conv_out_channels=(16, 16), conv_kernel_sizes=(3, 3)))

# ShuffleNetV2 on MPII by MCL-OKD.
_base_ = ['../okdhp/shufflenetv2_mpii.py', '../_base_/methods/mcl.py']

model = dict(**_base_.method)

# ShuffleNetV2 on MPII by ONE.
_base_ = ['../okdhp/shufflenetv2_mpii.py', '../_base_/methods/one.py']

model = dict(**_base_.method)

# ShuffleNetV2 on MPII by FFL.
_base_ = ['../okdhp/shufflenetv2_mpii.py', '../_base_/methods/ffl.py']

model = dict(**_base_.method)

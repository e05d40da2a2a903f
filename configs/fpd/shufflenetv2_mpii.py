# ShuffleNetV2 on MPII by FPD.
_base_ = ['../okdhp/shufflenetv2_mpii.py', '../_base_/methods/fpd.py']

model = dict(**_base_.method)

# ShuffleNetV2 on MPII by OKDDip.
_base_ = ['../okdhp/shufflenetv2_mpii.py', '../_base_/methods/okddip.py']

model = dict(**_base_.method)

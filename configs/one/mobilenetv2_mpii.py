# MobileNetV2 on MPII by ONE.
_base_ = ['../okdhp/mobilenetv2_mpii.py', '../_base_/methods/one.py']

model = dict(**_base_.method)

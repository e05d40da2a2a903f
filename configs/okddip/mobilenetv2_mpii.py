# MobileNetV2 on MPII by OKDDip.
_base_ = ['../okdhp/mobilenetv2_mpii.py', '../_base_/methods/okddip.py']

model = dict(**_base_.method)

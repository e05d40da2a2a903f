# MobileNetV2 on MPII by KDCL.
_base_ = ['../okdhp/mobilenetv2_mpii.py', '../_base_/methods/kdcl.py']

model = dict(**_base_.method)

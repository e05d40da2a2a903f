# MobileNetV2 on MPII by DML.
_base_ = ['../okdhp/mobilenetv2_mpii.py', '../_base_/methods/dml.py']

model = dict(**_base_.method)

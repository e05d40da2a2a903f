# ResNet-18 on MPII by FPD.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/fpd.py']

model = dict(**_base_.method)

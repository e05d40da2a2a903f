# ResNet-18 on MPII by OKDDip.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/okddip.py']

model = dict(**_base_.method)

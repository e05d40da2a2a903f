# ResNet-18 on MPII by ONE.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/one.py']

model = dict(**_base_.method)

# ResNet-18 on MPII by FFL.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/ffl.py']

model = dict(**_base_.method)

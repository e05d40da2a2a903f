# ResNet-18 on MPII by MCL-OKD.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/mcl.py']

model = dict(**_base_.method)

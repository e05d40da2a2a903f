# ResNet-18 on MPII by KDCL.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/kdcl.py']

model = dict(**_base_.method)

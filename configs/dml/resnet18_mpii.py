# ResNet-18 on MPII by DML.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/dml.py']

model = dict(**_base_.method)

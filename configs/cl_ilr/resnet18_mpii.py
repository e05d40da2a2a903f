# ResNet-18 on MPII by CL-ILR.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/cl_ilr.py']

model = dict(**_base_.method)

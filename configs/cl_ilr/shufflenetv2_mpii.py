# ShuffleNetV2 on MPII by CL-ILR.
_base_ = ['../okdhp/shufflenetv2_mpii.py', '../_base_/methods/cl_ilr.py']

model = dict(**_base_.method)

# ResNet-18 on COCO by CL-ILR.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/cl_ilr.py']

model = dict(**_base_.method)

# ResNet-18 on COCO by KDCL.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/kdcl.py']

model = dict(**_base_.method)

# ResNet-18 on COCO by ONE.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/one.py']

model = dict(**_base_.method)

# ResNet-18 on COCO by FPD.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/fpd.py']

model = dict(**_base_.method)

# ResNet-18 on COCO by OKDDip.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/okddip.py']

model = dict(**_base_.method)

# ResNet-18 on COCO by MCL-OKD.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/mcl.py']

model = dict(**_base_.method)

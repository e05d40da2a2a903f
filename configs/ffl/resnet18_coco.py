# ResNet-18 on COCO by FFL.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/ffl.py']

model = dict(**_base_.method)

# ResNet-18 on COCO by DML.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/dml.py']

model = dict(**_base_.method)

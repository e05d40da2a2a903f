# Branches without distillation that share most of MobileNetV2's backbone.
_base_ = '../../../configs/_base_/methods/branches.py'
method = dict(split='layer4')

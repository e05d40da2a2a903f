# Branches without distillation that share the whole backbone.
_base_ = '../../../configs/_base_/methods/branches.py'
method = dict(split='whole')

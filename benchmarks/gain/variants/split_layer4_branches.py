# Branches without distillation that share the first two stages alone.
_base_ = '../../../configs/_base_/methods/branches.py'
method = dict(split='layer2')

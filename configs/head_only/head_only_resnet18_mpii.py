# ResNet-18 on MPII: a second stage of the head alone, a fifth as long as the first.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/head_only.py']

method_name = 'head_only'
model = dict(**_base_.method)
train_cfg = dict(max_epochs=42)
param_scheduler = [
    _base_.param_scheduler[0],  # warm-up
    dict(_base_.param_scheduler[1], end=42, milestones=[34, 40]),
]

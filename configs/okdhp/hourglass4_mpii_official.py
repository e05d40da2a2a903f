# hourglass4_mpii.py with the authors' FAU, losses and initial weights instead of our defaults.
_base_ = ['./hourglass4_mpii.py', '../_base_/methods/okdhp_official.py']

method_name = 'okdhp_official'
model = dict(**_base_.method, backbone=dict(init_cfg=None))

# hourglass4_mpii.py with the authors' FAU and losses instead of our defaults, for comparison.
_base_ = ['./hourglass4_mpii.py', '../_base_/methods/okdhp_official.py']

model = dict(**_base_.method)

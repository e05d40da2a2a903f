# ShuffleNetV2 on MPII by PCL.
_base_ = ['../okdhp/shufflenetv2_mpii.py', '../_base_/methods/pcl.py']

model = dict(**_base_.method)

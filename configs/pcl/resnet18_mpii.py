# ResNet-18 on MPII by PCL.
_base_ = ['../okdhp/resnet18_mpii.py', '../_base_/methods/pcl.py']

model = dict(**_base_.method)

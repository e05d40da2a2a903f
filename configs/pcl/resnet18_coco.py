# ResNet-18 on COCO by PCL.
_base_ = ['../okdhp/resnet18_coco.py', '../_base_/methods/pcl.py']

model = dict(**_base_.method)

# PCL whose branches see the same colours.
_base_ = '../../../configs/_base_/methods/pcl.py'
method = dict(views=None)

# PCL whose peers share the first stage alone.
_base_ = '../../../configs/_base_/methods/pcl.py'
method = dict(split='layer1')

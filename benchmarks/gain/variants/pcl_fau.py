# PCL with the FAU in place of its fusion of features.
_base_ = '../../../configs/_base_/methods/pcl.py'
method = dict(aggregator=dict(type='FAU'))

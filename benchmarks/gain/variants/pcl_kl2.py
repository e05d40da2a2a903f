# PCL by twice its weight.
_base_ = '../../../configs/_base_/methods/pcl.py'
method = dict(
    distiller=dict(terms=dict(loss_kd=dict(loss_weight=2.0), loss_peers=dict(loss_weight=2.0)))
)

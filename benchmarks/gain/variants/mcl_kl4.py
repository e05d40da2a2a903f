# MCL-OKD whose mean teaches branch 0 with the weight of the default.
_base_ = '../../../configs/_base_/methods/mcl.py'
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=4.0))))

# FFL whose fusion teaches with the weight of the default.
_base_ = '../../../configs/_base_/methods/ffl.py'
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=4.0))))

# DML with the paper's weight, and at once.
_base_ = '../../../configs/_base_/methods/dml.py'
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=1.0, schedule=None))))

# OKDDip with the weight and the ramp-up of the default.
_base_ = '../../../configs/_base_/methods/okddip.py'
method = dict(
    distiller=dict(terms=dict(loss_kd=dict(loss_weight=4.0, schedule=dict(type='GaussianRampUp'))))
)

# DML with the ramp-up of the default and, as nobody has a say in who teaches oneself, about its
# weight: the distance to the others is half as large again as that to the mean of all three.
_base_ = '../../../configs/_base_/methods/dml.py'
method = dict(
    distiller=dict(terms=dict(loss_kd=dict(loss_weight=3.0, schedule=dict(type='GaussianRampUp'))))
)

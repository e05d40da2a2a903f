# Mostly the mean of the branches, by the MSE.
_base_ = './mse_half.py'
method = dict(
    distiller=dict(terms=dict(loss_kpt=dict(loss_weight=0.2), loss_kd=dict(loss_weight=0.8)))
)

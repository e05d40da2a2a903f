# As mse_half, by the mean of the branches with averaged weights.
_base_ = './mse_half.py'
method = dict(
    averaged=dict(momentum=0.001), distiller=dict(terms=dict(loss_kd=dict(teacher='averaged')))
)

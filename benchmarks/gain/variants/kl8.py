# OKDHP with twice the default's weight.
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=8.0))))

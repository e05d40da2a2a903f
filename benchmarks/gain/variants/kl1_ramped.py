# OKDHP with a quarter of the default's weight.
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=1.0))))

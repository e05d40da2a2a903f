# OKDHP with half of the default's weight, from the first step on.
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=2.0, schedule=None))))

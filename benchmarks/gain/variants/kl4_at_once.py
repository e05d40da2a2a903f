# OKDHP with the default's weight from the first step on, without a ramp-up.
method = dict(distiller=dict(terms=dict(loss_kd=dict(schedule=None))))

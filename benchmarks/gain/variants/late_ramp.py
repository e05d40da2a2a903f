# OKDHP whose distillation grows until the end, instead of over the first 0.4 of the training.
method = dict(distiller=dict(terms=dict(loss_kd=dict(schedule=dict(end=1.0)))))

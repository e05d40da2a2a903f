# OKDHP whose distillation falls to nothing over the last three tenths of the training.
custom_imports = dict(imports=['gain.ideas'])
method = dict(distiller=dict(terms=dict(loss_kd=dict(schedule=dict(type='RampUpAndDown')))))

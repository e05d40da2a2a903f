# OKDHP whose ensemble is sharpened before it teaches.
custom_imports = dict(imports=['gain.ideas'])
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss=dict(type='SharpenedKL')))))

# OKDHP whose ensemble teaches narrower peaks than it has.
custom_imports = dict(imports=['gain.ideas'])
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss=dict(type='NarrowedKL')))))

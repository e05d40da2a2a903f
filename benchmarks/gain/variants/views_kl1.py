# OKDHP whose branches see the images in other colours each, by a quarter of the default's weight,
# and that deploys averaged weights.
_base_ = './views_averaged.py'
method = dict(distiller=dict(terms=dict(loss_kd=dict(loss_weight=1.0))))

# Branches without distillation that see the images in other colours each: what `views_averaged` has
# to beat.
_base_ = '../../../configs/_base_/methods/branches.py'
method = dict(views=dict(type='PhotometricViews'))

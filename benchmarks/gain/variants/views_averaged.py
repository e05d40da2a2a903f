# OKDHP whose branches see the images in other colours each, and that deploys averaged weights.
_base_ = './deploy_averaged.py'
method = dict(views=dict(type='PhotometricViews'))

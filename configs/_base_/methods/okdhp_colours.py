# OKDHP on images in other colours, with a rectangle hidden, the same for all branches: better than
# the default with few labels (docs/benchmarks.md).
method = dict(views=dict(type='PhotometricViews', same=True))

# OKDHP on images in other colors, with a rectangle hidden, the same for all branches: to try where
# labels are few (docs/benchmarks.md).
method = dict(views=dict(type='PhotometricViews', same=True))

# The initializer of the flies: a stock model, per frame. Train it before the others.
_base_ = '../_base_/dkd/fly_pair.py'

model = _base_.initializer

# The initializer of Penn Action: mmpose's ResNet-50, per frame. Train it before DKD.
_base_ = '../_base_/dkd/penn_action.py'

# PCL whose branches learn from the averaged others alone, by both terms' weight.
_base_ = './pcl_mean.py'
method = dict(distiller=dict(terms=dict(loss_kd=None, loss_peers=dict(loss_weight=2.0))))

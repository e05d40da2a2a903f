# PCL with the weight and the ramp-up of the default, for both of its teachers.
_base_ = '../../../configs/_base_/methods/pcl.py'
method = dict(
    distiller=dict(
        terms=dict(
            loss_kd=dict(loss_weight=4.0, schedule=dict(_delete_=True, type='GaussianRampUp')),
            loss_peers=dict(loss_weight=4.0, schedule=dict(_delete_=True, type='GaussianRampUp')),
        )
    )
)

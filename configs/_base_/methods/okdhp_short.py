# OKDHP for short trainings, of less than about 3,000 steps: half of the default's weight, which
# rises until the end. With the default, branches follow an ensemble that has not learned enough yet
# (docs/benchmarks.md, "Short trainings").
method = dict(
    distiller=dict(
        terms=dict(loss_kd=dict(loss_weight=2.0, schedule=dict(type='GaussianRampUp', end=1.0)))
    )
)

# How the authors of OKDHP train their hourglasses: no pretraining, no warm-up, one GPU.
recipe = dict(
    train_cfg=dict(max_epochs=150, val_interval=10),
    optim_wrapper=dict(optimizer=dict(type='Adam', lr=2.5e-4)),
    param_scheduler=[
        dict(type='MultiStepLR', begin=0, end=150, milestones=[90, 120], gamma=0.1, by_epoch=True)
    ],
    auto_scale_lr=dict(base_batch_size=16),
    batch_size=16,
    # Theirs are clip(N(1, 0.25)) to +-25 % and clip(N(0, 30)) to +-60 degrees with p = 0.6; mmpose
    # draws from a normal distribution cut off at one deviation, so 60 degrees here spread as
    # theirs do (a deviation of 32 against 29).
    augment=dict(
        RandomBBoxTransform=dict(
            shift_prob=0, scale_factor=(0.75, 1.25), rotate_factor=60, rotate_prob=0.6
        )
    ),
)

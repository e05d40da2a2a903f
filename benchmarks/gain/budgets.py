"""Budgets of trainings. All arms have the same budget."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace

from okdhp_mm.errors import UserError


@dataclass(frozen=True)
class Student:
    """A training config, and what makes its network as small as the budget needs it.

    Attributes:
        config: Its name in ``configs/okdhp``.
        model: What it changes in the config's ``model``.
    """

    config: str
    model: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """Settings that every arm shares.

    Attributes:
        students: By name; 'teacher' is the larger network of the offline methods.
        input_size: Height and width of the crops; the heatmaps' are a quarter.
        sigma: Of the target's Gaussians, in heatmap pixels.
        blur: Kernel of the unbiased decoding (DARK) that small heatmaps need; 0 for the usual.
        train_persons: How many persons train, at most.
        selection_persons: How many training persons are kept apart to choose a branch by.
        test_persons: How many persons are reported on, at most.
        epochs: Of every arm but the one that trains alone for the branches' cost.
        batch_size: Of the training.
        lr: Of Adam after the warm-up, which takes 5 % of the training; a cosine follows.
        workers: Of the data loaders.
        augmentations: How many of a person there are: after so many epochs they repeat, and all
            arms of a seed find them in memory (27 kB per crop of 64x64). Without workers only; 0
            for new ones in every epoch.
        bf16: Whether the training is in mixed precision, where there is a GPU; SimCC's never is.
        flip_test: Whether the evaluation averages over the mirror image.
        pretrained: File of the backbone's initial weights, by student; the others start from
            scratch.
    """

    students: Mapping[str, Student]
    input_size: int
    sigma: float
    blur: int
    train_persons: int
    selection_persons: int
    test_persons: int
    epochs: int
    batch_size: int
    lr: float
    workers: int
    augmentations: int
    bf16: bool
    flip_test: bool
    pretrained: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict:
        """Everything that makes figures comparable, as JSON knows it."""
        return asdict(self)


EVERYBODY = 10**9

CPU = Budget(
    students=dict(
        resnet18=Student(
            'resnet18_mpii',
            dict(
                backbone=dict(base_channels=16, stem_channels=16, strides=(1, 2, 2, 1)),
                head=dict(
                    in_channels=128, deconv_out_channels=(64, 32), deconv_kernel_sizes=(4, 4)
                ),
            ),
        ),
        mobilenetv2=Student(
            'mobilenetv2_mpii',
            dict(
                backbone=dict(widen_factor=0.25),
                head=dict(deconv_out_channels=(32, 32, 32)),
            ),
        ),
        mobilenetv2_full=Student(
            'mobilenetv2_mpii', dict(head=dict(deconv_out_channels=(64, 64, 64)))
        ),
        shufflenetv2=Student(
            'shufflenetv2_mpii',
            dict(
                backbone=dict(widen_factor=0.5),
                head=dict(deconv_out_channels=(32, 32, 32)),
            ),
        ),
        simcc=Student(
            'simcc_resnet18_mpii',
            dict(
                # A quarter of the stride, for so small an image: 8, not 32.
                backbone=dict(base_channels=16, stem_channels=16, strides=(1, 2, 1, 1)),
                head=dict(in_channels=128, in_featuremap_size=(32, 32)),
            ),
        ),
        teacher=Student(
            'resnet18_mpii',
            dict(
                backbone=dict(base_channels=32, stem_channels=32, strides=(1, 2, 2, 1)),
                head=dict(
                    in_channels=256, deconv_out_channels=(128, 64), deconv_kernel_sizes=(4, 4)
                ),
            ),
        ),
    ),
    input_size=64,
    sigma=1.0,
    blur=3,
    train_persons=1000,
    selection_persons=500,
    test_persons=EVERYBODY,
    epochs=180,
    batch_size=32,
    lr=5e-3,
    workers=0,
    augmentations=60,
    bf16=False,
    flip_test=False,
)

GPU = Budget(
    students=dict(
        resnet18=Student('resnet18_mpii'),
        mobilenetv2=Student('mobilenetv2_mpii'),
        shufflenetv2=Student('shufflenetv2_mpii'),
        simcc=Student('simcc_resnet18_mpii'),
        teacher=Student(
            'resnet18_mpii', dict(backbone=dict(depth=50), head=dict(in_channels=2048))
        ),
    ),
    input_size=128,
    sigma=2.0,
    blur=0,
    train_persons=EVERYBODY,
    selection_persons=500,
    test_persons=EVERYBODY,
    epochs=140,
    batch_size=64,
    lr=1e-3,
    workers=14,
    augmentations=0,
    bf16=True,
    flip_test=True,
)

BUDGETS = dict(cpu=CPU, gpu=GPU)


def override(budget: Budget, settings: list[str]) -> Budget:
    """Return the budget with settings such as ``'epochs=20'``.

    Raises:
        UserError: If the setting does not exist, its value is of another type, or augmentations are
            to be kept where workers, which keep none, make them.
    """
    known = {f.name: type(getattr(budget, f.name)) for f in fields(budget)}
    del known['students'], known['pretrained']
    changes = {}
    for setting in settings:
        key, _, text = setting.partition('=')
        if key not in known:
            raise UserError(
                f'--set {setting}: {key!r} does not exist. Use one of: {", ".join(known)}.'
            )
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            value = text
        if known[key] is float and isinstance(value, int):
            value = float(value)
        if type(value) is not known[key]:
            raise UserError(f'--set {setting}: {text!r} is not of type {known[key].__name__}.')
        changes[key] = value
    budget = replace(budget, **changes)
    if budget.workers and budget.augmentations:
        raise UserError(
            f'workers={budget.workers} cannot keep augmentations={budget.augmentations}; add '
            '--set workers=0, or augmentations=0 for new ones in every epoch.'
        )
    return budget

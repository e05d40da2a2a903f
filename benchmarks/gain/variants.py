"""Ablations as one table: a method, and what each variant changes in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from okdhp_mm.io.config import read_config
from okdhp_mm.recipes.methods import method_file

from . import ideas  # noqa: F401  (registers what some variants are built from)

RUN = 'work_dirs/gain/resnet18/branches/seed0/'
COLORS = dict(type='PhotometricViews')
AVERAGED = {'ema': dict(momentum=0.001), 'test_cfg.ema': True}
MSE = dict(type='KeypointMSELoss', use_target_weight=True)
SPLITS = ('layer1', 'layer4', 'whole')
DEFAULT_STRENGTH = {'loss_weight': 4.0, 'schedule.type': 'GaussianRampUp', 'schedule.end': 0.4}
KD, PEERS, LABELS = (f'distiller.terms.{name}' for name in ('loss_kd', 'loss_peers', 'loss_kpt'))


@dataclass(frozen=True)
class Variant:
    """A method and its changes.

    Attributes:
        base: Name of a method or of another variant.
        changes: Dotted key -> value, merged into the base's ``method`` as ``--cfg-options`` are.
    """

    base: str
    changes: dict[str, Any]


def variant_method(name: str) -> dict:
    """Return the ``method`` of a variant, all changes merged."""
    variant = VARIANTS[name]
    if variant.base in VARIANTS:
        method = variant_method(variant.base)
    else:
        method = read_config(method_file(variant.base)).method.to_dict()
    merged = Config(method)
    merged.merge_from_dict(variant.changes)
    return merged.to_dict()


def from_mean(**terms: dict) -> dict:
    """Return a method whose mean of branches teaches by these terms."""
    return dict(
        aggregator=dict(type='MeanAggregator'), distiller=dict(type='Distiller', terms=terms)
    )


VARIANTS = {
    # Weight and schedule of the distillation; the default has weight 4 and a ramp-up.
    'kl1_ramped': Variant('okdhp', {f'{KD}.loss_weight': 1.0}),
    'kl2': Variant('okdhp', {f'{KD}.loss_weight': 2.0, f'{KD}.schedule': None}),
    'kl4_at_once': Variant('okdhp', {f'{KD}.schedule': None}),
    'kl8': Variant('okdhp', {f'{KD}.loss_weight': 8.0}),
    'late_ramp': Variant('okdhp', {f'{KD}.schedule.end': 1.0}),
    'late_decay': Variant('okdhp', {f'{KD}.schedule': dict(type='RampUpAndDown')}),
    # Other teachers than the FAU's ensemble, and other losses than the KL divergence.
    'mean_ensemble': Variant(
        'okdhp',
        from_mean(
            loss_kpt=dict(type='SupervisedTerm', of='branches'),
            loss_kd=dict(type='DistillTerm', loss_weight=4.0, schedule=dict(type='GaussianRampUp')),
        ),
    ),
    'loss_weighted': Variant('mean_ensemble', {'aggregator.type': 'LossWeightedMean'}),
    'sharpened': Variant('okdhp', {f'{KD}.loss.type': 'SharpenedKL'}),
    'narrowed': Variant('okdhp', {f'{KD}.loss.type': 'NarrowedKL'}),
    'mse_half': Variant(
        'okdhp',
        from_mean(
            loss_kpt=dict(type='SupervisedTerm', of='branches', loss_weight=0.5),
            loss_kd=dict(type='DistillTerm', loss=MSE, loss_weight=0.5),
        ),
    ),
    'mse_most': Variant('mse_half', {f'{LABELS}.loss_weight': 0.2, f'{KD}.loss_weight': 0.8}),
    'averaged_teacher': Variant('mse_half', {'ema': dict(momentum=0.001), f'{KD}.teacher': 'ema'}),
    # Two stages: the student alone learns from the frozen ensemble of the arm 'branches'.
    'offline_ensemble': Variant(
        'fpd',
        {
            'teacher': dict(
                config=f'{RUN}config.py', checkpoint=f'{RUN}last.pth', output='ensemble'
            ),
            f'{LABELS}.loss_weight': 0.1,
            f'{KD}.loss_weight': 0.9,
        },
    ),
    # Number, width and split of the branches.
    'five_branches': Variant('okdhp', {'branches': 5}),
    'wide_auxiliaries': Variant(
        'okdhp',
        {
            'branches': [
                dict(),
                dict(head=dict(deconv_out_channels=(128, 64))),
                dict(head=dict(deconv_out_channels=(256, 128))),
            ]
        },
    ),
    **{f'split_{point}': Variant('okdhp', {'split': point}) for point in SPLITS},
    **{f'split_{point}_branches': Variant('branches', {'split': point}) for point in SPLITS},
    # Colors and averaged weights, with and without distillation.
    'alone_views': Variant('branches', {'branches': 1, 'views': COLORS, **AVERAGED}),
    'views_branches': Variant('branches', {'views': COLORS}),
    'deploy_averaged': Variant('okdhp', AVERAGED),
    'views_averaged': Variant('deploy_averaged', {'views': COLORS}),
    'views_kl1': Variant('views_averaged', {f'{KD}.loss_weight': 1.0}),
    # Other methods at the default's weight, or their papers'.
    'dml_kl1': Variant('dml', {f'{KD}.loss_weight': 1.0, f'{KD}.schedule': None}),
    'kdcl_kl4': Variant('kdcl', {f'{KD}.{key}': value for key, value in DEFAULT_STRENGTH.items()}),
    'one_kl4': Variant('one', {f'{KD}.{key}': value for key, value in DEFAULT_STRENGTH.items()}),
    # Parts of PCL.
    'pcl_fau': Variant('pcl', {'aggregator.type': 'FAU'}),
    'pcl_mean': Variant(
        'pcl', {'aggregator.type': 'MeanAggregator', 'distiller.terms.loss_ens': None}
    ),
    'pcl_peers': Variant('pcl_mean', {KD: None, f'{PEERS}.loss_weight': 2.0}),
    'pcl_no_views': Variant('pcl', {'views': None}),
    'pcl_layer1': Variant('pcl', {'split': 'layer1'}),
    'pcl_kl2': Variant('pcl', {f'{KD}.loss_weight': 2.0, f'{PEERS}.loss_weight': 2.0}),
    'pcl_kl4': Variant(
        'pcl',
        {f'{term}.{key}': value for term in (KD, PEERS) for key, value in DEFAULT_STRENGTH.items()},
    ),
}

"""The multi-branch pose estimator: plumbing between the rooms, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement, InstanceData
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.models.utils import check_and_update_config
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor

from ..errors import UserError
from ..structures import ENSEMBLE, BranchFeatures
from .student import DEFAULT_BRANCHES, branch_models, student_name
from .symmetry import noisy_copies

OKDHP_TERMS = dict(
    loss_kpt=dict(type='Supervise', of='branches'),
    loss_ens=dict(type='Supervise', of='ensemble'),
    loss_kd=dict(
        type='Teach',
        loss=dict(type='KLHeatmapLoss'),
        schedule=dict(type='GaussianRampUp'),
    ),
)
"""OKDHP as a sentence: supervise the branches and the ensemble, which teaches the branches."""

REPORTS = ('all', 'deployed')


@MODELS.register_module()
class OKDHPTopdownPoseEstimator(TopdownPoseEstimator):
    """A stock top-down heatmap estimator, trained as several branches on a shared trunk.

    OKDHP (Li et al., ICCV 2021, https://arxiv.org/abs/2108.02092). ``backbone``, ``neck``,
    ``head``, ``test_cfg`` and ``data_preprocessor`` are those of the stock model, untouched: a
    training config inherits a stock config and changes ``type``, ``branches`` and ``split``.

    Args:
        backbone: Stock config.
        head: Stock config.
        neck: Stock config.
        branches: How many branches, or for each what it changes, see
            :func:`~okdhp_mm.models.student.branch_models`.
        split: Where the branches part, see :class:`~okdhp_mm.models.backbones.BranchedBackbone`.
        aggregator: Config of the aggregator.
        distiller: Config of the distiller.
        symmetry_noise: Relative noise on the weights of branches that would start as copies of
            another, after a stock checkpoint was loaded into all of them; 0 for none. Branch 0
            keeps the checkpoint's weights. See :mod:`~okdhp_mm.models.symmetry`.
        train_cfg: As in the stock model.
        test_cfg: As in the stock model; besides, ``branch`` is what is deployed, an index or
            'ensemble' (default 0), and ``report`` what predictions are made for: 'all' outputs
            (default), which :class:`~okdhp_mm.evaluation.EveryOutputMetric` needs, or
            'deployed'.
        data_preprocessor: As in the stock model.
        init_cfg: As in the stock model.
        metainfo: As in the stock model.

    Raises:
        UserError: If the student, the split or the branches do not go together; the sentence
            says how.
    """

    def __init__(
        self,
        backbone: ConfigDict,
        head: ConfigDict,
        neck: ConfigDict | None = None,
        branches: int | Sequence[dict] = DEFAULT_BRANCHES,
        split: str = 'whole',
        aggregator: ConfigDict | None = None,
        distiller: ConfigDict | None = None,
        symmetry_noise: float = 0.05,
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        data_preprocessor: ConfigDict | None = None,
        init_cfg=None,
        metainfo: dict | None = None,
    ):
        neck, head = check_and_update_config(neck, head)
        students = branch_models(dict(backbone=backbone, neck=neck, head=head), branches)
        super().__init__(
            backbone=dict(
                type='BranchedBackbone', backbones=[s.backbone for s in students], split=split
            ),
            head=dict(
                type='MultiBranchHead',
                heads=[s.head for s in students],
                necks=[s.neck for s in students],
                distiller=distiller or dict(type='Distiller', terms=OKDHP_TERMS),
            ),
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
            metainfo=metainfo,
        )
        check_test_cfg(self.test_cfg, len(students))
        check_branches(self)
        if symmetry_noise < 0:
            raise UserError(f'symmetry_noise={symmetry_noise} must not be negative.')
        self.symmetry_noise = symmetry_noise
        shared_channels = self._probe()
        self.head.build_aggregator(aggregator or dict(type='FAU'), shared_channels)

    @torch.no_grad()
    def _probe(self) -> int:
        """Channels of the shared feature, and a check that all heatmaps have one size.

        One empty image tells for every network, where declarations would have to be kept for each.
        """
        width, height = self.head.decoder.input_size
        self.eval()
        features = self.backbone(torch.zeros(1, 3, height, width))
        sizes = [
            tuple(self.head.branch_forward(features, m)[-1].shape[-2:])
            for m in range(len(self.head.branches))
        ]
        self.train()
        if len(set(sizes)) > 1:
            raise UserError(
                f'The heatmaps of the branches have sizes {sizes} (H, W); they must be equal, for '
                'the ensemble is their weighted sum.'
            )
        return features.shared.shape[1]

    def extract_feat(self, inputs: Tensor) -> BranchFeatures:
        """Features of the trunk and of the branches that prediction needs."""
        if self.test_cfg.get('report', 'all') == 'all':
            return self.backbone(inputs)
        return self._deployed_feat(inputs)

    def loss(self, inputs: Tensor, data_samples: list[PoseDataSample]) -> dict[str, Tensor]:
        """Losses of a batch; every branch takes part.

        Args:
            inputs: (B, 3, H, W).
            data_samples: The batch's samples with their encoded targets.
        """
        return self.head.loss(self.backbone(inputs), data_samples, train_cfg=self.train_cfg)

    def _forward(self, inputs: Tensor, data_samples=None) -> Tensor:
        """Heatmaps of the deployed output alone, at the cost of the student alone."""
        return self.head.forward(self._deployed_feat(inputs), self.test_cfg.get('branch', 0))

    def _deployed_feat(self, inputs: Tensor) -> BranchFeatures:
        deployed = self.test_cfg.get('branch', 0)
        return self.backbone(inputs, branches=None if deployed == ENSEMBLE else [deployed])

    def add_pred_to_datasample(
        self,
        batch_pred_instances: dict[str, list[InstanceData]],
        batch_pred_fields,
        batch_data_samples: list[PoseDataSample],
    ) -> list[PoseDataSample]:
        """Add the predictions of every output to the samples.

        Args:
            batch_pred_instances: Predictions of the batch by output name, the deployed last.
            batch_pred_fields: Heatmaps of the deployed output, or None.
            batch_data_samples: The batch's samples.

        Returns:
            The samples, with the deployed output in ``pred_instances`` as usual, and the others,
            if any, by name in ``pred_outputs``.
        """
        *others, deployed = batch_pred_instances
        named = [BaseDataElement() for _ in batch_data_samples]
        for name in others:
            super().add_pred_to_datasample(batch_pred_instances[name], None, batch_data_samples)
            for sample, outputs in zip(batch_data_samples, named, strict=True):
                outputs.set_data({name: sample.pred_instances})
        samples = super().add_pred_to_datasample(
            batch_pred_instances[deployed], batch_pred_fields, batch_data_samples
        )
        if others:
            for sample, outputs in zip(samples, named, strict=True):
                sample.set_data({'pred_outputs': outputs})
        return samples

    def _load_state_dict_pre_hook(self, state_dict, prefix, local_meta, *args, **kwargs) -> None:
        """Take a stock checkpoint apart into trunk and branches; refuse one that does not fit."""
        super()._load_state_dict_pre_hook(state_dict, prefix, local_meta, *args, **kwargs)
        own = {prefix + name: value.shape for name, value in self.state_dict().items()}
        if not any(name.startswith(f'{prefix}backbone.trunk.') for name in state_dict):
            self._fan_out(state_dict, prefix, own)
            return
        given = {name: value.shape for name, value in state_dict.items() if name.startswith(prefix)}
        wrong = [name for name in (own.keys() | given.keys()) if own.get(name) != given.get(name)]
        wrong = sorted(wrong)
        if wrong:
            first = ', '.join(
                f'{name} (checkpoint {_shape(given, name)}, model {_shape(own, name)})'
                for name in wrong[:3]
            )
            raise UserError(
                f'The checkpoint is of another model: {len(wrong)} of {len(own)} tensors differ, '
                f'first {first}; use the config that it was trained with.'
            )

    def _fan_out(self, state_dict: dict, prefix: str, own: dict) -> None:
        """Copy a stock checkpoint's weights to the trunk and to every branch, in place."""
        stock = {name.removeprefix(prefix): state_dict.pop(name) for name in list(state_dict)}
        owners = {name: student_name(name.removeprefix(prefix)) for name in own}
        fitting = {
            name: stock[owner[1]]
            for name, owner in owners.items()
            if owner and owner[1] in stock and stock[owner[1]].shape == own[name]
        }
        if not fitting:
            raise UserError(
                'The checkpoint has nothing in common with the student: it has e.g. '
                f'{next(iter(stock), None)!r}, the student e.g. '
                f'{next(owner[1] for owner in owners.values() if owner)!r}.'
            )
        state = {name.removeprefix(prefix): value for name, value in fitting.items()}
        noisy = noisy_copies(self.state_dict() | state, self.symmetry_noise)
        state_dict.update(fitting | {prefix + name: value for name, value in noisy.items()})
        used = {owners[name][1] for name in fitting}
        unused = sorted(stock.keys() - used)
        new = sorted({owner[1] for owner in owners.values() if owner} - used)
        print_log(
            f'Stock checkpoint: {len(used)} of {len(stock)} tensors copied to the trunk and to '
            f'{len(self.head.branches)} branches; not used: {", ".join(unused) or "none"}; kept '
            f'as initialised: {", ".join(new) or "none"} and the aggregator'
            f'{f"; relative noise of {self.symmetry_noise} tells copies apart" if noisy else ""}.',
            logger='current',
        )


def _shape(shapes: dict, name: str) -> str:
    return str(tuple(shapes[name])) if name in shapes else 'none'


def check_branches(model: OKDHPTopdownPoseEstimator) -> None:
    """Check that every branch has something to learn.

    Raises:
        UserError: If the branches share all parameters there are.
    """
    for parts in zip(model.backbone.branches, model.head.necks, model.head.branches, strict=True):
        if not any(True for part in parts for _ in part.parameters()):
            raise UserError(
                f'This split leaves a branch nothing of its own: its {type(parts[-1]).__name__} '
                'has no parameters; split the backbone itself or, where it has no split points, '
                'choose another network.'
            )


def check_test_cfg(test_cfg: ConfigDict, num_branches: int) -> None:
    """Check what is to be deployed and reported.

    Raises:
        UserError: If ``branch`` or ``report`` is not a possible value.
    """
    branch = test_cfg.get('branch', 0)
    if branch != ENSEMBLE and branch not in range(num_branches):
        raise UserError(
            f'test_cfg.branch={branch!r} does not exist; valid are 0 to {num_branches - 1} and '
            f'{ENSEMBLE!r}.'
        )
    report = test_cfg.get('report', 'all')
    if report not in REPORTS:
        raise UserError(f'test_cfg.report={report!r} is not one of {REPORTS}.')

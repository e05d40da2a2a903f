"""The multi-branch pose estimator: plumbing between the rooms, nothing else."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.structures import BaseDataElement
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.models.utils import check_and_update_config
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from ..errors import UserError
from ..structures import ENSEMBLE, BranchFeatures, BranchPredictions
from .fan_out import check_own, fan_out, is_branched, start_ema
from .student import DEFAULT_BRANCHES, branch_models
from .teachers import EMA

DEFAULT_AGGREGATOR = dict(type='FAU')
OKDHP_TERMS = dict(
    loss_kpt=dict(type='Supervise', of='branches'),
    loss_ens=dict(type='Supervise', of='ensemble'),
    loss_kd=dict(
        type='Teach',
        loss=dict(type='KLHeatmapLoss'),
        loss_weight=4.0,
        schedule=dict(type='GaussianRampUp'),
    ),
)
"""OKDHP as a sentence: supervise the branches and the ensemble, which teaches the branches.

The weight was chosen by measurement (docs/benchmarks.md).
"""
DEFAULT_DISTILLER = dict(type='Distiller', terms=OKDHP_TERMS)

REPORTS = ('all', 'deployed')


@MODELS.register_module()
class OKDHPTopdownPoseEstimator(TopdownPoseEstimator):
    """A stock top-down estimator (heatmaps, SimCC), trained as branches on a shared trunk.

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
        split_gradient: How the trunk learns from the branches, 'sum' or 'mean', see there.
        aggregator: Config of the aggregator; without a ``type`` it changes the default's.
        distiller: Config of the distiller; without a ``type`` it changes the default's, e.g.
            ``dict(terms=dict(loss_kd=dict(loss_weight=2)))``.
        symmetry_noise: Relative noise on the weights of branches that would start as copies of
            another, after a stock checkpoint was loaded into all of them; 0 for none. Branch 0
            keeps the checkpoint's weights. See :mod:`~okdhp_mm.models.symmetry`.
        views: Config of a module that shows each branch, or all, another view of the training
            images, such as :class:`~okdhp_mm.models.augment.PhotometricViews`; None shows all the
            images as they are.
        ema: Settings of :class:`~okdhp_mm.models.teachers.EMA`, e.g. ``dict(momentum=0.001)``: keep
            a copy with averaged weights, which may teach and may be deployed; None for no copy.
        teacher: Config of a teacher outside of the branches, such as
            :class:`~okdhp_mm.models.teachers.FrozenTeacher`; None for none.
        freeze_backbone: Whether trunk and branches stay as they are, batch norms' statistics
            included, and only necks and heads learn.
        train_cfg: As in the stock model.
        test_cfg: As in the stock model; besides, ``branch`` is what is deployed, an index or
            'ensemble' (default 0), ``report`` what predictions are made for: 'all' outputs
            (default), which :class:`~okdhp_mm.evaluation.EveryOutputMetric` needs, or
            'deployed', and ``ema`` whether they are those of the EMA copy.
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
        split_gradient: str = 'sum',
        aggregator: ConfigDict | None = None,
        distiller: ConfigDict | None = None,
        symmetry_noise: float = 0.05,
        views: ConfigDict | None = None,
        ema: ConfigDict | None = None,
        teacher: ConfigDict | None = None,
        freeze_backbone: bool = False,
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        data_preprocessor: ConfigDict | None = None,
        init_cfg=None,
        metainfo: dict | None = None,
    ):
        if ema is not None and not isinstance(ema, dict):
            raise UserError(
                f'ema={ema!r} is not a dict of settings. Set ema=dict() to keep a copy.'
            )
        if symmetry_noise < 0:
            raise UserError(f'symmetry_noise={symmetry_noise} must not be negative.')
        neck, head = check_and_update_config(neck, head)
        students = branch_models(dict(backbone=backbone, neck=neck, head=head), branches)
        super().__init__(
            backbone=dict(
                type='BranchedBackbone',
                backbones=[s.backbone for s in students],
                split=split,
                split_gradient=split_gradient,
            ),
            # Replaced below: the head needs the built backbone.
            head=dict(type=nn.Identity),
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
            metainfo=metainfo,
        )
        check_test_cfg(self.test_cfg, len(students), ema is not None)
        self.teacher = MODELS.build(teacher) if teacher else None
        self.head = MODELS.build(
            dict(
                type='MultiBranchHead',
                heads=[s.head for s in students],
                necks=[s.neck for s in students],
                aggregator=over_default(aggregator, DEFAULT_AGGREGATOR),
                distiller=over_default(distiller, DEFAULT_DISTILLER),
                backbone=self.backbone,
                ema=ema is not None,
                teacher=self.teacher and self.teacher.name,
            )
        )
        self.head.test_cfg = self.test_cfg.copy()
        self.symmetry_noise = symmetry_noise
        self.views = MODELS.build(views) if views else None
        self.freeze_backbone = freeze_backbone
        if freeze_backbone:
            self.backbone.requires_grad_(False).eval()
        self.ema = None
        if ema is not None:
            # Last, because it copies all parts above.
            self.ema = EMA(self, **ema)

    def extract_feat(self, inputs: Tensor) -> BranchFeatures:
        """Features of the trunk and of the branches that prediction needs."""
        return self.backbone(inputs) if self.reports_all else self._deployed_feat(inputs)

    def loss(self, inputs: Tensor, data_samples: list[PoseDataSample]) -> dict[str, Tensor]:
        """Losses of a batch; every branch takes part.

        Args:
            inputs: (B, 3, H, W).
            data_samples: The batch's samples with their encoded targets.
        """
        ema = self._ema_finals(inputs)
        views = inputs if self.views is None else self.views(inputs, len(self.head.branches))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_backbone):
            feats = self.backbone(views)
        return self.head.loss(
            feats,
            data_samples,
            train_cfg=self.train_cfg,
            ema=ema,
            teacher=self.teacher and self.teacher(inputs, data_samples),
        )

    @torch.no_grad()
    def _ema_finals(self, inputs: Tensor) -> Tensor | None:
        """Return the final heatmaps of the EMA copy if a term needs them, (M, B, K, H, W)."""
        if self.ema is None:
            return None
        if self.training and not self.ema.started:
            raise UserError(
                'model.ema is set, but nothing updates this copy of the model. Add '
                "custom_hooks=[dict(type='EMAUpdateHook')], or call model.ema.start(model) before "
                'and model.ema.update(model) after every step of your own training loop.'
            )
        if not self.head.distiller.needs_ema:
            return None
        copied = self.ema.module
        return copied.head.branch_outputs(copied.backbone(inputs)).finals

    def init_weights(self) -> None:
        """Initialize the weights; load those of the teacher; start the EMA copy equal."""
        # First, so that a missing file is reported before pretrained weights are downloaded.
        self.load_teacher()
        super().init_weights()
        if self.ema is not None:
            self.ema.update(self)
            self.ema.steps.zero_()

    def load_teacher(self) -> None:
        """Load the weights of the teacher, if there is one.

        Raises:
            UserError: If its files cannot be read.
        """
        if self.teacher is None:
            return
        self.teacher.init_weights()
        self.teacher.to(next(self.backbone.parameters()))

    def train(self, mode: bool = True) -> OKDHPTopdownPoseEstimator:
        """As ever, but that a frozen backbone keeps its statistics."""
        super().train(mode)
        if self.freeze_backbone:
            self.backbone.eval()
        return self

    def forward(self, inputs: Tensor, data_samples: list | None = None, mode: str = 'tensor'):
        """Run the stock estimator, or its EMA copy if ``test_cfg.ema`` is set."""
        if mode == 'loss' or self.deployed is self:
            return super().forward(inputs, data_samples, mode)
        return self.deployed.forward(inputs, data_samples, mode)

    @property
    def reports_all(self) -> bool:
        """Whether predictions are made for every output, see ``test_cfg.report``."""
        return self.test_cfg.get('report', 'all') == 'all'

    @property
    def deployed(self) -> OKDHPTopdownPoseEstimator:
        """This model, or its EMA copy if ``test_cfg.ema`` is set."""
        if self.ema is not None and self.test_cfg.get('ema', False):
            return self.ema.module
        return self

    def _forward(self, inputs: Tensor, data_samples=None) -> Any:
        """What the stock network gives, of the deployed output, at the cost of the student."""
        return self.head.forward(self._deployed_feat(inputs), self.test_cfg.get('branch', 0))

    def _deployed_feat(self, inputs: Tensor) -> BranchFeatures:
        deployed = self.test_cfg.get('branch', 0)
        return self.backbone(inputs, branches=None if deployed == ENSEMBLE else [deployed])

    def add_pred_to_datasample(
        self,
        batch_pred_instances: BranchPredictions,
        batch_pred_fields,
        batch_data_samples: list[PoseDataSample],
    ) -> list[PoseDataSample]:
        """Add the predictions of every output to the samples.

        Args:
            batch_pred_instances: Predictions of the batch.
            batch_pred_fields: Heatmaps of the deployed output, or None.
            batch_data_samples: The batch's samples.

        Returns:
            The samples, with the deployed output in ``pred_instances`` as usual, and the others by
            name in ``pred_outputs``, if all are reported.
        """
        named = [BaseDataElement() for _ in batch_data_samples]
        for name, instances in batch_pred_instances.by_name.items():
            super().add_pred_to_datasample(instances, None, batch_data_samples)
            for sample, outputs in zip(batch_data_samples, named, strict=True):
                outputs.set_data({name: sample.pred_instances})
        samples = super().add_pred_to_datasample(
            batch_pred_instances.deployed, batch_pred_fields, batch_data_samples
        )
        if self.reports_all:
            for sample, outputs in zip(samples, named, strict=True):
                sample.set_data({'pred_outputs': outputs})
        return samples

    def _load_state_dict_pre_hook(self, state_dict, prefix, local_meta, *args, **kwargs) -> None:
        """Take a stock checkpoint apart into trunk and branches; refuse one that does not fit."""
        super()._load_state_dict_pre_hook(state_dict, prefix, local_meta, *args, **kwargs)
        if prefix.endswith('ema.module.'):
            return  # the model that keeps this copy has looked at all
        if is_branched(state_dict, prefix):
            check_own(self, state_dict, prefix)
        else:
            fan_out(self, state_dict, prefix, self.symmetry_noise)
            if self.ema is not None:
                start_ema(state_dict, prefix)


def check_test_cfg(test_cfg: ConfigDict, num_branches: int, keeps_ema: bool) -> None:
    """Check what is to be deployed and reported.

    Raises:
        UserError: If ``branch``, ``report`` or ``ema`` is not a possible value.
    """
    branch = test_cfg.get('branch', 0)
    if branch == ENSEMBLE and num_branches == 1:
        raise UserError(
            "test_cfg.branch='ensemble' requires several branches, but the model has one. Set "
            'test_cfg.branch=0.'
        )
    if branch != ENSEMBLE and branch not in range(num_branches):
        raise UserError(
            f'test_cfg.branch={branch!r} does not exist; valid are 0 to {num_branches - 1} and '
            f'{ENSEMBLE!r}.'
        )
    report = test_cfg.get('report', 'all')
    if report not in REPORTS:
        raise UserError(f'test_cfg.report={report!r} is not one of {REPORTS}.')
    if test_cfg.get('ema', False) and not keeps_ema:
        raise UserError(
            'test_cfg.ema=True, but the model keeps no EMA copy. Give it one by '
            'model.ema=dict(momentum=0.001).'
        )


def over_default(config: ConfigDict | dict | None, default: dict) -> dict:
    """A config, or the default with what a config without a ``type`` changes of it."""
    if config and 'type' in config:
        return config
    changed = Config(copy.deepcopy(default))
    changed.merge_from_dict(dict(config or {}))
    return changed.to_dict()

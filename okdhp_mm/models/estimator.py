"""Multi-branch pose estimator. It connects the backbone, the head, the EMA copy and the teacher."""

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

from ..errors import UserError, check_choice
from ..structures import ENSEMBLE, BranchFeatures, BranchPredictions
from .branch_configs import DEFAULT_BRANCHES, branch_models
from .teachers import EMA
from .unlabeled import UnlabeledTeaching, split_batch
from .weights.load_stock import check_state_dict, convert_stock_state_dict, is_branched, start_ema

DEFAULT_AGGREGATOR = dict(type='FAU')
OKDHP_TERMS = dict(
    loss_kpt=dict(type='SupervisedTerm', of='branches'),
    loss_ens=dict(type='SupervisedTerm', of='ensemble'),
    loss_kd=dict(
        type='DistillTerm',
        loss=dict(type='KLHeatmapLoss'),
        loss_weight=4.0,
        schedule=dict(type='GaussianRampUp'),
    ),
)
"""Terms of OKDHP: supervise the branches and the ensemble; the ensemble teaches the branches.

The weight was chosen by measurement (docs/benchmarks.md).
"""
DEFAULT_DISTILLER = dict(type='Distiller', terms=OKDHP_TERMS)

REPORTS = ('all', 'deployed')


@MODELS.register_module()
class OKDHPTopdownPoseEstimator(TopdownPoseEstimator):
    """Top-down estimator (heatmaps or SimCC) that trains several branches on a shared trunk.

    OKDHP (Li et al., ICCV 2021, https://arxiv.org/abs/2108.02092). ``backbone``, ``neck``,
    ``head``, ``test_cfg`` and ``data_preprocessor`` are those of the stock model, unchanged. A
    training config inherits a stock config and changes ``type``, ``branches`` and ``split``.

    Args:
        backbone: Stock config.
        head: Stock config.
        neck: Stock config.
        branches: Number of branches, or a list with the changes of each branch, see
            :func:`~okdhp_mm.models.branch_configs.branch_models`.
        split: The point above which the branches are separate, see
            :class:`~okdhp_mm.models.backbones.BranchedBackbone`.
        trunk_grad: Combination of the branches' gradients in the trunk, 'sum' or
            'mean', see there.
        aggregator: Config of the aggregator. Without a ``type`` it changes the default.
        distiller: Config of the distiller. Without a ``type`` it changes the default, e.g.
            ``dict(terms=dict(loss_kd=dict(loss_weight=2)))``.
        symmetry_noise: Relative noise on the weights of branches that would otherwise start as
            copies of each other, because one stock checkpoint was loaded into all of them; 0 for
            no noise. Branch 0 keeps the checkpoint's weights. See
            :mod:`~okdhp_mm.models.weights.symmetry_breaking`.
        views: Config of a module that augments the training images, once for all branches or
            differently for each, such as :class:`~okdhp_mm.models.augment.PhotometricViews`; None
            for no augmentation.
        ema: Settings of :class:`~okdhp_mm.models.teachers.EMA`, e.g. ``dict(momentum=0.001)``. The
            model then keeps a copy with averaged weights, which can teach and can be deployed.
            None for no copy.
        teacher: Config of a teacher outside of the branches, such as
            :class:`~okdhp_mm.models.teachers.FrozenTeacher`; None for no such teacher.
        unlabeled: Settings of :class:`~okdhp_mm.models.unlabeled.UnlabeledTeaching`, e.g.
            ``dict(teacher='ema')``, to learn from unlabeled images with an ``UnlabeledTerm``. The
            images come from an :class:`~okdhp_mm.datasets.unlabeled.UnlabeledDataset`. None to
            learn from labeled images only.
        freeze_backbone: Whether to train only necks and heads. The weights and the batch norm
            statistics of trunk and branches stay constant.
        train_cfg: As in the stock model.
        test_cfg: As in the stock model, with three more entries. ``branch`` is the deployed
            output, an index or 'ensemble' (default 0). ``report`` selects the outputs to predict:
            'all' (default), required by :class:`~okdhp_mm.evaluation.MultiOutputMetric`, or
            'deployed'. ``ema`` selects the EMA copy instead of the model.
        data_preprocessor: As in the stock model.
        init_cfg: As in the stock model.
        metainfo: As in the stock model.

    Raises:
        UserError: If the student, the split and the branches do not fit together. The message
            says how to fix it.
    """

    def __init__(
        self,
        backbone: ConfigDict,
        head: ConfigDict,
        neck: ConfigDict | None = None,
        branches: int | Sequence[dict] = DEFAULT_BRANCHES,
        split: str = 'whole',
        trunk_grad: str = 'sum',
        aggregator: ConfigDict | None = None,
        distiller: ConfigDict | None = None,
        symmetry_noise: float = 0.05,
        views: ConfigDict | None = None,
        ema: ConfigDict | None = None,
        teacher: ConfigDict | None = None,
        unlabeled: ConfigDict | None = None,
        freeze_backbone: bool = False,
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        data_preprocessor: ConfigDict | None = None,
        init_cfg: dict | list[dict] | None = None,
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
                trunk_grad=trunk_grad,
            ),
            # Placeholder. The real head is built below because it needs the built backbone.
            head=dict(type=nn.Identity),
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
            metainfo=metainfo,
        )
        check_test_cfg(self.test_cfg, len(students), ema is not None)
        self.teacher = MODELS.build(teacher) if teacher else None
        self.unlabeled = None
        if unlabeled is not None:
            self.unlabeled = UnlabeledTeaching(**unlabeled)
            self.unlabeled.check(len(students), ema is not None)
        self.head = MODELS.build(
            dict(
                type='MultiBranchHead',
                heads=[s.head for s in students],
                necks=[s.neck for s in students],
                aggregator=merge_default(aggregator, DEFAULT_AGGREGATOR),
                distiller=merge_default(distiller, DEFAULT_DISTILLER),
                backbone=self.backbone,
                ema=ema is not None,
                teacher=self.teacher and self.teacher.name,
                unlabeled=self.unlabeled and self.unlabeled.target,
            )
        )
        self.head.test_cfg = self.test_cfg.copy()
        if self.teacher:
            self.teacher.attach(self.head.adapter)
        if self.unlabeled:
            self.unlabeled.attach(self.head.adapter)
        self.symmetry_noise = symmetry_noise
        self.views = MODELS.build(views) if views else None
        self.freeze_backbone = freeze_backbone
        if freeze_backbone:
            self.backbone.requires_grad_(False).eval()
        self.ema = None
        if ema is not None:
            # Must be created last: it deep-copies this module.
            self.ema = EMA(self, **ema)

    def extract_feat(self, inputs: Tensor) -> BranchFeatures:
        """Compute the features of the trunk and of the branches that prediction needs."""
        return self.backbone(inputs) if self.reports_all else self._deployed_feat(inputs)

    def loss(self, inputs: Tensor, data_samples: list[PoseDataSample]) -> dict[str, Tensor]:
        """Compute the losses of a batch with all branches.

        Args:
            inputs: Images, (B, 3, H, W).
            data_samples: Samples of the batch with their encoded targets. Unlabeled samples follow
                the labeled ones.
        """
        (inputs, data_samples), others = split_batch(inputs, data_samples)
        self._check_ema()
        ema = self._ema_heatmaps(inputs)
        views = inputs if self.views is None else self.views(inputs, len(self.head.branches))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_backbone):
            feats = self.backbone(views)
        return self.head.loss(
            feats,
            data_samples,
            train_cfg=self.train_cfg,
            ema=ema,
            teacher=self.teacher and self.teacher(inputs, data_samples),
            unlabeled=self.unlabeled(self, *others) if self.unlabeled and others[1] else None,
            teacher_weights=self.teacher and self.teacher.weights(data_samples),
        )

    def _check_ema(self) -> None:
        if self.ema is not None and self.training and not self.ema.started:
            raise UserError(
                'model.ema is set, but nothing updates this copy of the model. Add '
                "custom_hooks=[dict(type='EMAUpdateHook')], or call model.ema.start(model) before "
                'and model.ema.update(model) after every step of your own training loop.'
            )

    @torch.no_grad()
    def _ema_heatmaps(self, inputs: Tensor) -> Tensor | None:
        """Return the final heatmaps of the EMA copy if a term needs them, (M, B, K, H, W)."""
        if self.ema is None or 'ema' not in self.head.distiller.requires:
            return None
        copied = self.ema.module
        return copied.head.branch_outputs(copied.backbone(inputs)).final_heatmaps

    def init_weights(self) -> None:
        """Initialize the model, load the teacher, and copy the weights to the EMA copy."""
        # Load the teacher first. A missing file is then reported before any download starts.
        self.load_teacher()
        super().init_weights()
        if self.ema is not None:
            self.ema.update(self)
            self.ema.steps.zero_()

    def load_teacher(self) -> None:
        """Load the weights of the teacher if the model has one.

        Raises:
            UserError: If its files cannot be read.
        """
        if self.teacher is None:
            return
        self.teacher.init_weights()
        self.teacher.to(next(self.backbone.parameters()))

    def train(self, mode: bool = True) -> OKDHPTopdownPoseEstimator:
        """Set train mode; keep a frozen backbone in eval mode."""
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
        """Return whether to predict with every output, see ``test_cfg.report``."""
        return self.test_cfg.get('report', 'all') == 'all'

    @property
    def deployed(self) -> OKDHPTopdownPoseEstimator:
        """Return this model, or its EMA copy if ``test_cfg.ema`` is set."""
        if self.ema is not None and self.test_cfg.get('ema', False):
            return self.ema.module
        return self

    def _forward(self, inputs: Tensor, data_samples=None) -> Any:
        """Return the deployed output as the stock network does, at the cost of the student."""
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
            batch_data_samples: Samples of the batch.

        Returns:
            The samples. ``pred_instances`` has the deployed output, as in mmpose. ``pred_outputs``
            has the other outputs by name if all outputs are reported.
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
        """Distribute a stock checkpoint to trunk and branches, or check a multi-branch one."""
        super()._load_state_dict_pre_hook(state_dict, prefix, local_meta, *args, **kwargs)
        if prefix.endswith('ema.module.'):
            return  # The model that keeps this copy has already processed the checkpoint.
        if is_branched(state_dict, prefix):
            check_state_dict(self, state_dict, prefix)
        else:
            convert_stock_state_dict(self, state_dict, prefix, self.symmetry_noise)
            if self.ema is not None:
                start_ema(state_dict, prefix)


def check_test_cfg(test_cfg: ConfigDict, num_branches: int, keeps_ema: bool) -> None:
    """Validate the entries of ``test_cfg`` that this package adds.

    Raises:
        UserError: If ``branch``, ``report`` or ``ema`` has an invalid value.
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
            f'{ENSEMBLE!r}. Set one of these.'
        )
    check_choice('test_cfg.report', test_cfg.get('report', 'all'), REPORTS)
    if test_cfg.get('ema', False) and not keeps_ema:
        raise UserError(
            'test_cfg.ema=True, but the model keeps no EMA copy. Set '
            'model.ema=dict(momentum=0.001).'
        )


def merge_default(config: ConfigDict | dict | None, default: dict) -> dict:
    """Return a config with a ``type`` unchanged; merge one without a ``type`` into the default."""
    if config and 'type' in config:
        return config
    changed = Config(copy.deepcopy(default))
    changed.merge_from_dict(dict(config or {}))
    return changed.to_dict()

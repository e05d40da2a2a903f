"""A trained network in the place of the ensemble."""

from __future__ import annotations

import torch
from mmpose.registry import MODELS
from torch import nn

from ...checkpoint import load_checkpoint
from ...config_file import read_config
from ...errors import UserError
from ...structures import BranchOutputs, Targets
from ..readouts import readout_of
from .base import Aggregator


@MODELS.register_module()
class FrozenTeacher(Aggregator):
    """The heatmaps of a frozen network: offline distillation, in the terms of the online one.

    Fast human pose estimation (Zhang et al., CVPR 2019, https://arxiv.org/abs/1811.05419)
    distils a trained network into a small one; DWPose (Yang et al., 2023,
    https://arxiv.org/abs/2307.15880) a network into its own head. The teacher sees the images as
    the student's data pipeline makes them, without gradients, and is no part of the model's state:
    it is in no checkpoint, and is read again when a run resumes.

    Args:
        in_channels: Channels C of the shared feature.
        num_branches: M.
        num_keypoints: K.
        config: Config file of the teacher: any top-down heatmap network of mmpose, or a training
            config of this package.
        checkpoint: Its checkpoint, a local file.
        output: Of a multi-branch teacher, what teaches: an index or 'ensemble'; None for what its
            config deploys.

    Raises:
        UserError: If the teacher is not named, a file of it does not exist, or its checkpoint is of
            another network.
    """

    min_branches = 1

    def __init__(
        self,
        in_channels: int,
        num_branches: int,
        num_keypoints: int,
        config: str | None = None,
        checkpoint: str | None = None,
        output: int | str | None = None,
        init_cfg=None,
    ):
        super().__init__(in_channels, num_branches, num_keypoints, init_cfg)
        if not config or not checkpoint:
            raise UserError(
                f'FrozenTeacher: config={config!r} and checkpoint={checkpoint!r} must both name '
                'files; set model.aggregator.config and model.aggregator.checkpoint.'
            )
        # In a tuple, so that it is no submodule: not saved, not trained, not initialised anew.
        self._teacher = (read_teacher(config, checkpoint, output),)
        head = self._teacher[0].head
        self._readout = getattr(head, 'readout', None) or readout_of(head)

    def _apply(self, *args, **kwargs):
        """Follow the model to its device."""
        self._teacher[0]._apply(*args, **kwargs)
        return super()._apply(*args, **kwargs)

    @torch.no_grad()
    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """The teacher's heatmaps of the same images."""
        output = self._teacher[0](outputs.features.images, None, mode='tensor')
        return outputs.aggregated(self._readout.stages(output)[-1])


def read_teacher(config: str, checkpoint: str, output: int | str | None) -> nn.Module:
    """The frozen network of a config and a checkpoint.

    Raises:
        UserError: If a file cannot be read, it has no branches to choose from, or the checkpoint is
            of another network.
    """
    model = read_config(config).model
    if output is not None:
        if 'branches' not in model:
            raise UserError(
                f'FrozenTeacher: output={output!r} chooses one of several branches, but {config} '
                'has none; leave it out.'
            )
        model.test_cfg = dict(model.get('test_cfg') or {}, branch=output)
    teacher = MODELS.build(model)
    state = load_checkpoint(checkpoint)['state_dict']
    needed, given = (
        {(name, tuple(value.shape)) for name, value in weights.items()}
        for weights in (teacher.state_dict(), state)
    )
    if needed != given:
        raise UserError(
            f'FrozenTeacher: {checkpoint} is no checkpoint of {config}: {len(needed ^ given)} '
            f'tensors or shapes are in one of them only, e.g. {min(needed ^ given)}.'
        )
    teacher.load_state_dict(state)
    return teacher.requires_grad_(False).eval()

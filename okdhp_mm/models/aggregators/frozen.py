"""A trained network in the place of the ensemble."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from mmpose.registry import MODELS
from torch import nn

from ...checkpoint import load_checkpoint, load_weights
from ...config_file import read_config
from ...errors import UserError
from ...structures import BranchOutputs, Targets
from ..fan_out import check_branched, is_branched
from ..heads.adapters import find_adapter
from .base import Aggregator

_absent = ContextVar('absent', default=False)


@contextmanager
def without_teachers() -> Iterator[None]:
    """Within it, a :class:`FrozenTeacher` is built without its files, which only training needs.

    Its model has the same weights, and cannot be trained.
    """
    token = _absent.set(True)
    try:
        yield
    finally:
        _absent.reset(token)


class _Apart(tuple):
    """What is no part of a module: not saved, not trained, not initialised anew, not copied."""

    def __deepcopy__(self, memo: dict) -> _Apart:
        return self


@MODELS.register_module()
class FrozenTeacher(Aggregator):
    """The heatmaps of a frozen network: offline distillation, in the terms of the online one.

    Fast human pose estimation (Zhang et al., CVPR 2019, https://arxiv.org/abs/1811.05419)
    distils a trained network into a small one; DWPose (Yang et al., 2023,
    https://arxiv.org/abs/2307.15880) a network into its own head. The teacher sees the images as
    the student's data pipeline makes them, without gradients, and is no part of the model's state:
    it is in no checkpoint, and is read again when a run resumes. It takes part in training only;
    its own figures are those of its own test.

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
    only_teaches = True

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
        self._teacher = _Apart()
        if _absent.get():
            return
        if not config or not checkpoint:
            raise UserError(
                f'FrozenTeacher: config={config!r} and checkpoint={checkpoint!r} must both name '
                'files; set model.aggregator.config and model.aggregator.checkpoint.'
            )
        network = read_teacher(config, checkpoint, output)
        adapter = getattr(network.head, 'adapter', None) or find_adapter(network.head)
        self._teacher = _Apart([network, adapter])

    def _apply(self, *args, **kwargs):
        """Follow the model to its device."""
        if self._teacher:
            self._teacher[0]._apply(*args, **kwargs)
        return super()._apply(*args, **kwargs)

    @torch.no_grad()
    def aggregate(self, outputs: BranchOutputs, targets: Targets | None = None) -> BranchOutputs:
        """The teacher's heatmaps of the same images."""
        if not self._teacher and targets is None:
            # Nobody sees it: for the checks of a model that is being built.
            return outputs.aggregated(outputs.finals.mean(0))
        network, adapter = self._teacher
        output = network(outputs.features.images, None, mode='tensor')
        return outputs.aggregated(adapter.to_maps(output)[-1])


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
    with without_teachers():
        teacher = MODELS.build(model)
    state = load_checkpoint(checkpoint)['state_dict']
    if is_branched(teacher.state_dict()):
        check_branched(state, checkpoint)
    load_weights(teacher, state, f'FrozenTeacher: {checkpoint} is no checkpoint of {config}')
    return teacher.requires_grad_(False).eval()

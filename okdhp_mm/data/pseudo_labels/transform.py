"""Data pipeline in which pseudo-labels move with the picture, next to the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import (
    GenerateTarget,
    PackPoseInputs,
    RandomFlip,
    TopdownAffine,
)
from mmpose.registry import TRANSFORMS

from ...errors import UserError
from ...models.teachers import PSEUDO
from .table import PseudoLabelTable

MOVING = (RandomFlip, TopdownAffine)
"""Transforms that move keypoints of a crop."""
FINAL = (GenerateTarget, PackPoseInputs)
"""Transforms that read the keypoints."""


@TRANSFORMS.register_module()
class WithPseudoLabels(BaseTransform):
    """Run the last steps of a data pipeline for the labels and for pseudo-labels.

    The pseudo-labels are flipped and cropped like the labels, and encoded by the same
    ``GenerateTarget``. The packed sample has them as its attribute ``pseudo_labels``, where
    :class:`~okdhp_mm.models.teachers.PseudoLabelTeacher` reads them.

    Args:
        file: File of :func:`write_table`. Persons that it does not have get weights of 0.
        transforms: Steps of the pipeline, from the first that moves keypoints to the last.

    Raises:
        UserError: While it runs, if a step moves keypoints in a way that is not known here.
    """

    def __init__(self, file: str, transforms: Sequence[dict]):
        self.table = PseudoLabelTable(file)
        self.transforms = [TRANSFORMS.build(step) for step in transforms]

    def transform(self, results: dict) -> dict | None:
        """Run the steps."""
        keypoints = results['keypoints']
        found = self.table.find(results['img_path'], results['id'])
        if found is None:
            found = np.zeros((keypoints.shape[-2], 3), np.float32)
        if found.shape[0] != keypoints.shape[-2]:
            raise UserError(
                f'WithPseudoLabels: the file has {found.shape[0]} keypoints, but the persons have '
                f'{keypoints.shape[-2]} at this step. Train by --teacher FILE, which writes it.'
            )
        pseudo = dict(keypoints=found[None, :, :2], keypoints_visible=found[None, :, 2])
        for step in self.transforms:
            if isinstance(step, MOVING):
                moved, pseudo = move_both(step, results, pseudo)
            elif isinstance(step, FINAL):
                if isinstance(step, GenerateTarget):
                    pseudo = encode(step, results | pseudo)
                moved = step(results)
                if moved is not None and isinstance(step, PackPoseInputs):
                    # The picture is packed once.
                    blank = np.zeros((1, 1, 3), np.uint8)
                    packed = step(results | pseudo | dict(img=blank))
                    moved['data_samples'].set_field(packed['data_samples'], PSEUDO)
            else:
                before = places(results)
                moved = step(results)
                if moved is not None and not np.array_equal(before, places(moved)):
                    raise UserError(
                        f'{type(step).__name__} in the training pipeline moves keypoints, and '
                        'pseudo-labels cannot follow. Remove it, or learn from a network: '
                        '--teacher CONFIG CHECKPOINT.'
                    )
            if moved is None:  # mmengine draws another sample
                return None
            results = moved
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.transforms})'


def without_pseudo_labels(config: Any) -> Any:
    """Return a config, or a part of one, with the steps of every ``WithPseudoLabels`` instead."""
    if isinstance(config, dict):
        return type(config)({key: without_pseudo_labels(part) for key, part in config.items()})
    if not isinstance(config, (list, tuple)):
        return config
    steps: list[Any] = []
    for step in map(without_pseudo_labels, config):
        wraps = isinstance(step, dict) and step.get('type') == WithPseudoLabels.__name__
        steps += step['transforms'] if wraps else [step]
    return type(config)(steps)


def places(results: dict) -> np.ndarray:
    """Return the keypoints of a sample where they are now."""
    moved = results.get('transformed_keypoints')
    return results['keypoints'] if moved is None else moved


def move_both(step: BaseTransform, results: dict, pseudo: dict) -> tuple[dict, dict]:
    """Run a step for the labels and the pseudo-labels at once, as if they were two persons.

    Args:
        step: Transform that moves the keypoints of all persons in the same way.
        results: Sample of one person.
        pseudo: Its pseudo-labels: ``keypoints``, scores as ``keypoints_visible`` and, once
            cropped, ``transformed_keypoints``.

    Returns:
        The moved sample and the moved pseudo-labels.
    """
    count = len(results['keypoints'])
    visible = results['keypoints_visible']
    scores = pseudo['keypoints_visible']
    if visible.ndim > scores.ndim:  # mmpose keeps a weight next to the visibility
        scores = np.stack([scores] * visible.shape[-1], axis=-1)
    joined = results | dict(
        keypoints=np.concatenate([results['keypoints'], pseudo['keypoints']]),
        keypoints_visible=np.concatenate([visible, scores]),
    )
    moved = step(joined)
    names = ('keypoints', 'keypoints_visible', 'transformed_keypoints')
    found = {name: moved[name][count:] for name in names if name in moved}
    if visible.ndim > pseudo['keypoints_visible'].ndim:
        found['keypoints_visible'] = found['keypoints_visible'][..., 0]
    return moved | {name: moved[name][:count] for name in names if name in moved}, found


def encode(step: BaseTransform, sample: dict) -> dict:
    """Return the encoded pseudo-labels, weighted by their scores.

    Codecs leave out keypoints with a visibility below one half, so that a score cannot be one.

    Args:
        step: The ``GenerateTarget`` of the pipeline.
        sample: Sample in which the pseudo-labels replaced the labels.
    """
    scores = sample['keypoints_visible']
    encoded = step(sample | dict(keypoints_visible=(scores > 0).astype(np.float32)))
    weights = encoded['keypoint_weights'] * np.clip(scores, 0, 1)
    return encoded | dict(keypoint_weights=weights.astype(np.float32))

"""One more output of the small student: its distance from the ensemble, without the ensemble.

The output is a 1x1 convolution on the features below the small student's heatmaps, read where each
heatmap has its maximum. The networks stay as they are, so its weights are a least squares solution.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from dkd import PoolDataset
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from .tracks import SMALL

IMAGES = 2000
NEAR = 0.01
"""Distance in box sizes below which the logarithm of a distance hardly changes."""


def peak_features(heatmaps: Tensor, features: Tensor) -> Tensor:
    """Return the features (B, C, H, W) at the maximum of each heatmap (B, K, H, W), (B, K, C)."""
    peaks = heatmaps.flatten(2).argmax(-1)
    index = peaks[:, None].expand(-1, features.shape[1], -1)
    return features.flatten(2).gather(2, index).mT


@torch.no_grad()
def learn(model: nn.Module, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Return the weights of the output for two targets, (K, C + 1) each.

    'disagreement' is the distance of the small student from the ensemble. 'error' is that from the
    labels, which is the control: an output that needs no other branch in training either.
    """
    dataset = PoolDataset(str(args.out / 'data' / f'pool_{args.pool}.pt'), frames=True)
    subset = Subset(dataset, range(0, len(dataset), max(1, len(dataset) // IMAGES)))
    features, distances, errors, seen = [], [], [], []
    for batch in DataLoader(subset, batch_size=32, collate_fn=pseudo_collate):
        labels = [sample.gt_fields.heatmaps for sample in batch['data_samples']]
        visible = [sample.gt_instance_labels.keypoint_weights for sample in batch['data_samples']]
        outputs = model.head.outputs(model.backbone(model.data_preprocessor(batch)['inputs']))
        small, below = model.head.branch_forward(outputs.features, SMALL)
        poses, ensemble, true = (
            np.concatenate([pose.keypoints for pose in model.head.decode(maps)])
            for maps in (small[-1], outputs.ensemble, torch.stack(labels))
        )
        side = max(model.head.decoder.input_size)
        features.append(peak_features(small[-1], below).numpy())
        distances.append(np.linalg.norm(poses - ensemble, axis=-1) / side)
        errors.append(np.linalg.norm(poses - true, axis=-1) / side)
        seen.append(torch.cat(visible).numpy() > 0)
    inputs = with_one(np.concatenate(features))
    kept = np.concatenate(seen)
    return {
        name: np.stack(
            [
                np.linalg.lstsq(inputs[use, k], np.log(target[use, k] + NEAR), rcond=None)[0]
                for k, use in enumerate(kept.T)
            ]
        )
        for name, target in (
            ('disagreement', np.concatenate(distances)),
            ('error', np.concatenate(errors)),
        )
    }


def with_one(features: np.ndarray) -> np.ndarray:
    """Return the features with a constant for the bias, (..., C + 1)."""
    return np.concatenate([features, np.ones_like(features[..., :1])], -1)


def apply(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the output for peak features (N, K, C): a distance in box sizes, (N, K)."""
    return np.exp(np.einsum('nkc,kc->nk', with_one(features), weights))

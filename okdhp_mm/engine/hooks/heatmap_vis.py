"""Draw the heatmaps of every branch during validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample
from torch import Tensor

from ...errors import UserError
from ...keypoint_names import names_of
from ...models.heads.adapters import HeadAdapter
from ...visualization import heatmap_strip
from ..model import model_of


@HOOKS.register_module()
class BranchVisualizationHook(Hook):
    """Draws the heatmaps of every branch, the ensemble and the target of validated samples.

    Every visualization backend gets one picture per sample. The samples are the same in every
    validation, so TensorBoard shows how they change. They are predicted a second time. A teacher
    outside of the branches is drawn instead of the ensemble. Detected boxes (``bbox_file``) have
    no target. Of SimCC's two distributions, the product is drawn.

    Args:
        interval: Draw samples of every ``interval``-th batch, starting with the first.
        samples: Number of samples of such a batch.
        keypoints: Names of the keypoints to show; by default three across the skeleton.

    Raises:
        UserError: If the interval or the number of samples is not positive, or a keypoint does not
            exist.
    """

    priority = 'NORMAL'

    def __init__(
        self, interval: int = 50, samples: int = 1, keypoints: Sequence[str] | None = None
    ):
        if interval < 1 or samples < 1:
            raise UserError(
                f'BranchVisualizationHook: interval={interval} and samples={samples} must be at '
                'least 1.'
            )
        self.interval = interval
        self.samples = samples
        self.keypoints = keypoints

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Draw the first samples of the batch if the interval is over."""
        if batch_idx % self.interval or not is_main_process():
            return
        names = names_of(runner.val_dataloader.dataset.metainfo)
        chosen = choose_keypoints(self.keypoints, names)
        batch = {key: values[: self.samples] for key, values in data_batch.items()}
        # The EMA copy is validated if it is deployed.
        model = model_of(runner).deployed
        for index, strip in enumerate(draw_strips(model, batch, chosen, names)):
            # The backends want RGB.
            runner.visualizer.add_image(
                f'heatmaps_{batch_idx}_{index}', strip[..., ::-1].copy(), step=runner.iter
            )


def choose_keypoints(wanted: Sequence[str] | None, names: Sequence[str]) -> list[int]:
    """Return the indices of the keypoints to show.

    Raises:
        UserError: If one does not exist.
    """
    if wanted is None:
        return sorted({round((len(names) - 1) * share) for share in (0.25, 0.5, 0.75)})
    missing = [name for name in wanted if name not in names]
    if missing:
        raise UserError(
            f'BranchVisualizationHook: keypoints={missing} do not exist; the data set has '
            f'{", ".join(names)}.'
        )
    return [names.index(name) for name in wanted]


@torch.no_grad()
def draw_strips(
    model: BasePoseEstimator, batch: dict, keypoints: Sequence[int], names: Sequence[str]
) -> list[np.ndarray]:
    """Return one BGR picture for every sample of a batch from the data loader."""
    inputs = model.data_preprocessor(batch, training=False)['inputs']
    outputs = model.head.outputs(model.backbone(inputs))
    adapter = model.head.adapter
    final_heatmaps = adapter.to_display(outputs.final_heatmaps).float().cpu().numpy()
    ensemble, title = outputs.ensemble, 'ensemble'
    teacher = model.teacher
    if teacher is not None and teacher.is_init and teacher.on_any_image:
        ensemble, title = teacher(inputs, batch['data_samples']), 'teacher'
    ensemble = adapter.to_display(ensemble).float().cpu().numpy()
    return [
        heatmap_strip(
            image.permute(1, 2, 0).cpu().numpy(),
            branch_heatmaps=final_heatmaps[:, index],
            ensemble=ensemble[index],
            target=target_of(sample, adapter),
            keypoint_indices=keypoints,
            keypoint_names=names,
            ensemble_title=title,
        )
        for index, (image, sample) in enumerate(
            zip(batch['inputs'], batch['data_samples'], strict=True)
        )
    ]


def target_of(sample: PoseDataSample, adapter: HeadAdapter) -> np.ndarray | None:
    """Return the picture of a sample's target, (K, H, W); None for a detected box.

    mmpose gives a detected box visible keypoints at (0, 0).
    """
    if not sample.gt_instances.keypoints.any():
        return None
    return adapter.targets_to_display(encode_target(sample, adapter))[0].numpy()


def encode_target(sample: PoseDataSample, adapter: HeadAdapter) -> Tensor:
    """Encode the target of a sample that the pipeline did not encode, (1, K, H, W)."""
    truth = sample.gt_instances
    keypoints = in_crop(truth.keypoints, sample.metainfo).astype(np.float32)
    return adapter.encode(keypoints, truth.keypoints_visible)


def in_crop(keypoints: np.ndarray, meta: dict) -> np.ndarray:
    """Return keypoints of an image, (..., 2), in pixels of the network's input.

    This is the inverse of the step in mmpose's ``add_pred_to_datasample``.
    """
    corner = meta['input_center'] - meta['input_scale'] / 2
    return (np.asarray(keypoints) - corner) * meta['input_size'] / meta['input_scale']

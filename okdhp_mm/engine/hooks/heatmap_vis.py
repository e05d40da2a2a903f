"""Pictures of what every branch sees, while it is validated."""

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
from ...models.heads.adapters import HeadAdapter
from ...visualization import heatmap_strip
from ..model import model_of


@HOOKS.register_module()
class BranchVisualizationHook(Hook):
    """Draws the heatmaps of every branch, the ensemble and the target of validated samples.

    One picture per sample, to every visualisation backend: the same samples in every validation,
    so that TensorBoard shows how they change. The chosen samples are predicted a second time.
    A teacher outside of the branches takes the place of the ensemble.
    Boxes of a detector (``bbox_file``) have no target.
    Of SimCC's two distributions the picture is their product.

    Args:
        interval: Draw from every ``interval``-th batch, the first included.
        samples: How many samples of such a batch.
        keypoints: Names of the keypoints to show; by default three across the skeleton.

    Raises:
        UserError: If the interval or the number of samples is not positive, or there is not such a
            keypoint.
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
        """Draw, if it is this batch's turn."""
        if batch_idx % self.interval or not is_main_process():
            return
        names = keypoint_names(runner.val_dataloader.dataset.metainfo)
        chosen = choose_keypoints(self.keypoints, names)
        batch = {key: values[: self.samples] for key, values in data_batch.items()}
        # The EMA copy is validated if it is deployed.
        model = model_of(runner).deployed
        for index, strip in enumerate(draw_strips(model, batch, chosen, names)):
            # The backends want RGB.
            runner.visualizer.add_image(
                f'heatmaps_{batch_idx}_{index}', strip[..., ::-1].copy(), step=runner.iter
            )


def keypoint_names(metainfo: dict) -> list[str]:
    """Return the names of a dataset's keypoints."""
    return [name for _, name in sorted(metainfo['keypoint_id2name'].items())]


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
    """Return the picture of a sample's target, (K, H, W); None for a box of a detector.

    Of such a one mmpose says that all keypoints are seen at (0, 0).
    """
    if not sample.gt_instances.keypoints.any():
        return None
    return adapter.targets_to_display(encode_target(sample, adapter))[0].numpy()


def encode_target(sample: PoseDataSample, adapter: HeadAdapter) -> Tensor:
    """Encode the target of a sample whose pipeline makes none, (1, K, H, W)."""
    truth, meta = sample.gt_instances, sample.metainfo
    # From the image to the crop: the way back of mmpose's add_pred_to_datasample.
    corner = meta['input_center'] - meta['input_scale'] / 2
    keypoints = (truth.keypoints - corner) * meta['input_size'] / meta['input_scale']
    return adapter.encode(keypoints.astype(np.float32), truth.keypoints_visible)

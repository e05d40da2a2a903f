"""Load an exported student."""

from __future__ import annotations

from pathlib import Path

from mmpose.models.pose_estimators.base import BasePoseEstimator

from ..errors import UserError
from ..io.checkpoint import load_checkpoint, load_weights, safe_loader
from .files import CHECKPOINT, CONFIG, student_files


def load_student(folder: Path) -> BasePoseEstimator:
    """Load the stock estimator in a folder, on the CPU.

    Raises:
        UserError: If a file is missing, or the checkpoint is of another network.
    """
    # It takes two seconds to import, and every command imports this module.
    from mmpose.apis import init_model

    config, checkpoint = student_files(folder, CONFIG, CHECKPOINT)
    with safe_loader():
        student = init_model(str(config), str(checkpoint), device='cpu')
    check_weights(student, checkpoint)
    return student


def check_weights(student: BasePoseEstimator, checkpoint: Path) -> None:
    """Check that a checkpoint has all weights of the student and no others.

    mmpose leaves weights that are missing or have another shape as they are, which are random.

    Raises:
        UserError: If the checkpoint is of another network.
    """
    load_weights(
        student,
        load_checkpoint(str(checkpoint))['state_dict'],
        f'{checkpoint} is not a checkpoint of the network in {CONFIG} next to it',
    )


def names_and_skeleton(meta: dict) -> tuple[list[str], list[list[int]]]:
    """Return the K names of the keypoints, and the pairs of indices that a line connects.

    Args:
        meta: Metainfo of a dataset, which a student's checkpoint keeps.

    Raises:
        UserError: If the metainfo is damaged.
    """
    names, links = meta.get('keypoint_id2name'), meta.get('skeleton_links')
    indices = range(len(names)) if isinstance(names, dict) else ()
    if not (
        isinstance(names, dict)
        and all(isinstance(names.get(index), str) for index in indices)
        and isinstance(links, (list, tuple))
        and all(
            isinstance(link, (list, tuple)) and len(link) == 2 and all(i in indices for i in link)
            for link in links
        )
    ):
        raise UserError(
            'The dataset_meta of the student is damaged: it needs keypoint_id2name, a dict of '
            'indices to names, and skeleton_links, a list of pairs of indices. Export the student '
            'again.'
        )
    return [names[index] for index in indices], [list(map(int, link)) for link in links]

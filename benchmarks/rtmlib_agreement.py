"""A student in rtmlib against mmpose's own inferencer: how far apart the keypoints are.

    pip install rtmlib
    python tools/export_student.py CONFIG CHECKPOINT student --onnx
    python benchmarks/rtmlib_agreement.py student photos

Every picture is one person, taken whole. SimCC students run as rtmlib's `RTMPose`, students with
heatmaps as its `ViTPose`. The flip test of mmpose, which rtmlib has not, is off.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.deploy.inference.engines import TorchEngine
from okdhp_mm.deploy.inference.images import image_files
from okdhp_mm.errors import UserError
from okdhp_mm.student.files import GRAPH, student_files

if TYPE_CHECKING:
    import rtmlib

PADDING = 1.25
ROLES = {('simcc_x', 'simcc_y'): 'RTMPose', ('output',): 'ViTPose'}


def rtmlib_of(file: Path) -> rtmlib.tools.base.BaseTool:
    """Return the class of rtmlib that reads the outputs of a graph, with the graph.

    Raises:
        UserError: If there is none, it crops otherwise, or rtmlib is missing.
    """
    try:
        import onnx
        import rtmlib
    except ImportError as error:
        raise UserError(
            f'The comparison needs rtmlib and onnx ({error}): pip install rtmlib onnx'
        ) from error
    model = onnx.load(str(file))
    names = tuple(output.name for output in model.graph.output)
    if names not in ROLES:
        raise UserError(f'{file} gives {", ".join(names)}: export it without --decode.')
    said = {entry.key: entry.value for entry in model.metadata_props}
    crop, pixels = json.loads(said['crop']), json.loads(said['pixels'])
    if crop['padding'] != PADDING:
        raise UserError(
            f'{file} wants boxes padded by {crop["padding"]}; rtmlib always takes {PADDING}.'
        )
    return getattr(rtmlib, ROLES[names])(
        str(file),
        tuple(crop['input_size']),
        mean=tuple(pixels['mean']),
        std=tuple(pixels['std']),
    )


def distances(folder: Path, pictures: list[Path]) -> tuple[str, np.ndarray]:
    """Return a student's role in rtmlib, and the distances of its keypoints to mmpose's, (N, K)."""
    (file,) = student_files(folder, GRAPH)
    theirs, ours = rtmlib_of(file), TorchEngine(folder, 'cpu')
    ours.inferencer.model.test_cfg['flip_test'] = False
    found = []
    for picture in pictures:
        image = cv2.imread(str(picture))
        # rtmlib takes the channels as they come, and OpenCV's are not in the student's order.
        keypoints, _ = theirs(image[..., ::-1])
        (person,) = ours(image, None)
        found.append(np.linalg.norm(keypoints[0] - person['keypoints'], axis=-1))
    return type(theirs).__name__, np.array(found)


def main() -> None:
    """Parse, compare and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('student', type=Path, help='a folder with student.onnx, without decoder')
    parser.add_argument('pictures', type=Path, help='a folder of pictures of single persons')
    args = parser.parse_args()
    with errors_in_one_sentence():
        role, found = distances(args.student, image_files(args.pictures))
    middle, most, farthest = np.quantile(found, (0.5, 0.99, 1))
    print(
        f'rtmlib.{role}, {len(found)} pictures, {found.size} keypoints: {middle:.2g} px (median), '
        f'{most:.2g} px (99 %), {farthest:.2g} px (farthest)'
    )


if __name__ == '__main__':
    main()

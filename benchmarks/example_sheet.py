"""Draw held-out pictures with the true and the predicted keypoints, side by side.

    python benchmarks/example_sheet.py student sheet.jpg

The student is the folder of an export. The pictures are spread over its test data, which no
training saw.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from mmengine.registry import init_default_scope

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import DATASETS  # isort: skip
from okdhp_mm.cli.error_exit import errors_in_one_sentence
from okdhp_mm.report.examples import GAP, example_pictures
from okdhp_mm.student.load import load_student

WHITE, QUALITY = 255, 80


def grid(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Put pictures of equal size into a grid."""
    shape = pictures[0].shape
    pictures = pictures + [np.full(shape, WHITE, np.uint8)] * (-len(pictures) % columns)
    framed = [
        cv2.copyMakeBorder(picture, *[GAP] * 4, cv2.BORDER_CONSTANT, value=[WHITE] * 3)
        for picture in pictures
    ]
    rows = [framed[start : start + columns] for start in range(0, len(framed), columns)]
    return np.vstack([np.hstack(row) for row in rows])


def main() -> None:
    """Parse and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('student', type=Path, help='the folder that the export wrote')
    parser.add_argument('out', type=Path, help='the picture to write')
    parser.add_argument('--count', type=int, default=6, help='number of samples (default: 6)')
    parser.add_argument('--columns', type=int, default=2, help='samples in a row (default: 2)')
    args = parser.parse_args()
    with errors_in_one_sentence():
        model = load_student(args.student)
        init_default_scope('mmpose')
        dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
        pictures = [picture for picture, _ in example_pictures(model, dataset, args.count)]
        sheet = grid(pictures, args.columns)
        cv2.imwrite(str(args.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == '__main__':
    main()

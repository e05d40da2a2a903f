"""SLEAP and DeepLabCut: poses of a video to a COCO-like file with identities."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log

from ...data.own_dataset import complete
from ...data.readers import deeplabcut
from ...data.readers.coco_content import VISIBLE, CocoContent
from ...data.readers.picture_files import find_picture
from ...errors import UserError
from ...io.atomic import write_text
from ..places import place_of
from . import sleap, sleap_hdf5

PICTURES = ('.png', '.jpg', '.jpeg', '.bmp')


def convert_animals(
    table: str | Path, frames: str | Path, target: str | Path, min_score: float = 0.6
) -> Path:
    """Write the poses of a file as annotations that :class:`ClipDataset` reads.

    The file is of SLEAP: a project or its predictions (`.slp`), or an analysis (HDF5 or CSV). Or it
    is the CSV of DeepLabCut, with one or several animals: labels (`CollectedData_*.csv`), whose
    rows name pictures, or the poses of a video (`*_filtered.csv`), whose rows are frames. The boxes
    are around the keypoints. Animals without a track are left out of a file with tracks.

    Args:
        table: The file.
        frames: Folder of the pictures. Frame 7 is the picture whose name ends with the number 7.
        target: The JSON to write.
        min_score: Predicted keypoints with less likelihood or score are not labeled. Labels without
            a score stay.

    Returns:
        ``target``.

    Raises:
        UserError: If the file has another layout, a picture is missing, or a track is twice in a
            frame.
    """
    table, frames, target = Path(table), Path(frames), Path(target)
    names, rows = _read(table)
    numbered = _numbered(frames)
    coco = CocoContent('animal', names)
    images: dict[str, dict] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    tracks: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    found = [(*row, _labeled(row[2], min_score)) for row in rows]
    found = [row for row in found if row[3].any()]
    tracked = [row for row in found if row[1]]
    if 0 < len(tracked) < len(found):
        print_log(
            f'{len(found) - len(tracked)} of {len(found)} poses in {table} have no track and are '
            'left out.',
            'current',
            logging.WARNING,
        )
    for frame, track, points, there in tracked or found:
        if frame not in images:
            file = numbered.get(int(frame)) if frame.isdecimal() else None
            file = file or find_picture(frames, frame, table)
            # The frames of a video have one size; to decode all would take minutes.
            folder = (frames / file).parent
            if folder not in sizes:
                sizes[folder] = _size(frames / file)
            coco.add_image(file, *sizes[folder])
            images[frame] = coco.images[-1]
            video, number = place_of(images[frame], table)
            images[frame] |= dict(vid_id=video, frame_id=number)
        identity = tracks.setdefault(track, len(tracks))
        place = (images[frame]['id'], identity)
        if place in seen:
            whose = f'of track {track!r}' if track else 'without a track'
            raise UserError(
                f'Frame {frame} in {table} has two animals {whose}. Give each animal of a frame '
                'its own track.'
            )
        seen.add(place)
        labels = {
            name: (float(x), float(y), VISIBLE)
            for name, (x, y, _), is_ in zip(names, points, there, strict=True)
            if is_
        }
        coco.add_instance(labels, None)
        coco.annotations[-1] |= dict(image_id=images[frame]['id'], track_id=identity)
    if not images:
        raise UserError(f'{table} has no pose with a score of {min_score:g} or more.')
    content = coco.content
    complete(content)
    write_text(target, json.dumps(content))
    return target


def _read(table: Path) -> tuple[list[str], Iterator[tuple[str, str, np.ndarray]]]:
    """Return the names of the keypoints, and frame, track, and x, y, score of each animal."""
    if not table.is_file():
        raise UserError(f'The file {table} does not exist.')
    if table.suffix.lower() in ('.slp', '.h5'):
        return sleap_hdf5.parse(table)
    if sleap.is_sleap(table):
        return sleap.parse(table)
    parsed = deeplabcut.parse(table)
    points = np.concatenate((parsed.values, parsed.likelihoods[..., None]), -1)
    return parsed.keypoints, (
        (picture, individual, points[row, n])
        for row, picture in enumerate(parsed.pictures)
        for n, individual in enumerate(parsed.individuals)
    )


def _labeled(points: np.ndarray, min_score: float) -> np.ndarray:
    """Return which keypoints have a place and no low score, (K,) bool."""
    return np.isfinite(points[:, :2]).all(-1) & ~(points[:, 2] < min_score)


def _numbered(frames: Path) -> dict[int, str]:
    """Return the pictures of a folder by the number at the end of their names."""
    if not frames.is_dir():
        raise UserError(
            f'The folder {frames} does not exist. Write the frames of the video into it as '
            '000000.png, 000001.png and so on. docs/tutorials/video.md has the code.'
        )
    names = (file.name for file in frames.iterdir() if file.suffix.lower() in PICTURES)
    return {int(found[1]): name for name in names if (found := re.search(r'(\d+)\.\w+$', name))}


def _size(file: Path) -> tuple[int, int]:
    """Return width and height of a picture."""
    image = cv2.imread(str(file))
    if image is None:
        raise UserError(f'The picture {file} cannot be decoded.')
    height, width = image.shape[:2]
    return width, height

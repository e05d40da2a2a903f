"""Poses in pictures and videos, by a student on PyTorch or on onnxruntime.

The networks, and on PyTorch the drawing too, are the stock inferencer's; here are the files: what
is read, what cannot be, and what is written.
"""

from __future__ import annotations

import json
import logging
import mimetypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import mmengine
import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.apis import Pose2DInferencer
from rich.progress import track

from ..checkpoint import safe_loader
from ..errors import UserError, as_user_error
from ..export import CHECKPOINT, CONFIG
from ..visualization import draw_pose
from .student import student_files

Boxes = Sequence[Sequence[float]]
BOXES_EXAMPLE = (
    '{"a.jpg": [[x1, y1, x2, y2], ...], ...} with at least one box and x1 < x2, y1 < y2.'
)
FALLBACK_RATE = 25.0
"""Frames per second of a video that does not say."""
Engine = Callable[[np.ndarray, Boxes | None], tuple[list[dict], np.ndarray]]
"""What finds and draws the poses in an image, (H, W, 3) uint8, BGR.

Its boxes are around persons, x1 y1 x2 y2 each; None takes the whole image for one. It returns per
person the entries of the stock inferencer (``keypoints``, ``keypoint_scores``, ``bbox``,
``bbox_score``), and the picture of them.
"""


class BoxInferencer(Pose2DInferencer):
    """The stock inferencer with boxes that are given: its own argument for them is not used."""

    def preprocess_single(self, input, index, bboxes=(), **kwargs):
        """One input of the pipeline per box; without boxes, the stock way."""
        if len(bboxes) == 0:
            return super().preprocess_single(input, index, **kwargs)
        info = dict(img=input, img_path=f'{index}.jpg', **self.model.dataset_meta)
        score = np.ones(1, np.float32)
        boxes = np.array(bboxes, np.float32)[:, None]
        return [self.pipeline(dict(info, bbox=box, bbox_score=score)) for box in boxes]


class TorchEngine:
    """The student of a folder in mmpose's own inferencer.

    Args:
        folder: Where ``student.py`` and ``student.pth`` are.
        device: As in torch; None takes what is there.

    Raises:
        UserError: If there is no student, or no such device.
    """

    def __init__(self, folder: Path, device: str | None = None):
        with as_user_error(f'--device {device} cannot be used here', RuntimeError, AssertionError):
            torch.zeros(0, device=device)
        files = student_files(folder, CONFIG, CHECKPOINT)
        with safe_loader():
            self.inferencer = BoxInferencer(*map(str, files), device, det_model='whole_image')

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> tuple[list[dict], np.ndarray]:
        """Find and draw, see :data:`Engine`."""
        thickness = _thickness(image)
        given = dict(bboxes=[boxes]) if boxes else {}
        style = dict(return_vis=True, radius=thickness + 1, thickness=thickness)
        (result,) = self.inferencer([image], **given, **style)
        return result['predictions'][0], result['visualization'][0][..., ::-1]


class OnnxEngine:
    """A student that was exported with its decoder.

    Args:
        folder: Where the graph is.
        name: Its name.
    """

    def __init__(self, folder: Path, name: str):
        (file,) = student_files(folder, name)
        try:
            from .onnx_pose import OnnxPose
        except ImportError as error:
            raise UserError(
                f'--onnx needs onnxruntime ({error}): pip install onnxruntime'
            ) from None
        try:
            self.pose = OnnxPose(file)
        except ValueError as error:
            raise UserError(str(error)) from None

    def __call__(self, image: np.ndarray, boxes: Boxes | None) -> tuple[list[dict], np.ndarray]:
        """Find and draw, see :data:`Engine`."""
        height, width = image.shape[:2]
        boxes = boxes or [[0, 0, width, height]]
        poses = zip(*self.pose(image, boxes), boxes, strict=True)
        picture, persons = image, []
        style = dict(skeleton=self.pose.skeleton, keypoint_names=self.pose.keypoint_names)
        for keypoints, scores, box in poses:
            picture = draw_pose(picture, keypoints, scores, **style)
            found = dict(keypoints=keypoints.tolist(), keypoint_scores=scores.tolist())
            persons.append(found | dict(bbox=[list(map(float, box))], bbox_score=1.0))
        return persons, picture


@dataclass(frozen=True)
class Summary:
    """What an inference did.

    Attributes:
        written: Number of pictures or frames with poses.
        unit: Which of these.
        skipped: Files that could not be read.
    """

    written: int
    unit: str
    skipped: tuple[Path, ...] = ()

    def __str__(self):
        plural = '' if self.written == 1 else 's'
        skipped = f', {len(self.skipped)} skipped' if self.skipped else ''
        return f'{self.written} {self.unit}{plural}{skipped}'


def infer(
    source: Path, engine: Engine, out_dir: Path, boxes: Mapping[str, Boxes] | None = None
) -> Summary:
    """Find the poses in a picture, a folder of pictures, or a video.

    Args:
        source: What to look at.
        engine: What finds them.
        out_dir: Folder for ``predictions/*.json`` and ``visualizations/*``, laid out as the stock
            inferencer does.
        boxes: Boxes around persons by file name; what is not named is taken whole, as one person.
            In a video they hold for every frame.

    Raises:
        UserError: If the source is missing or of another kind, nothing in it can be read, a picture
            cannot be written, or there are boxes for files that are not there.
    """
    if not source.exists():
        raise UserError(f'{source} does not exist.')
    kind = _kind(source) if source.is_file() else 'folder'
    if kind not in ('image', 'video', 'folder'):
        raise UserError(f'{source} is neither a picture nor a video nor a folder of pictures.')
    files = image_files(source) if kind == 'folder' else [source]
    check_names(boxes or {}, source if kind == 'folder' else source.parent)
    sheets = Sheets(out_dir, files)
    if kind == 'video':
        return _infer_video(source, engine, sheets, (boxes or {}).get(source.name))
    return _infer_images(files, engine, sheets, boxes or {})


def read_boxes(file: Path) -> dict[str, Boxes]:
    """Boxes around persons by file name, from JSON: ``{"a.jpg": [[x1, y1, x2, y2], ...], ...}``.

    Raises:
        UserError: If there is no such file, or something else is in it.
    """
    try:
        boxes = json.loads(file.read_text())
    except OSError as error:
        raise UserError(f'{file} cannot be read: {error.strerror}.') from None
    except ValueError as error:
        raise UserError(f'{file} is no JSON: {error}.') from None
    if not isinstance(boxes, dict):
        raise UserError(f'{file} holds a {type(boxes).__name__}; write {BOXES_EXAMPLE}')
    for name, given in boxes.items():
        if not (isinstance(given, list) and given and all(map(_is_box, given))):
            raise UserError(f'{file} has {given!r} for {name}; write {BOXES_EXAMPLE}')
    return boxes


def check_names(boxes: Mapping[str, Boxes], folder: Path) -> None:
    """Look whether all files that there are boxes for are in the folder that is looked at.

    Raises:
        UserError: If one is not.
    """
    unknown = sorted(boxes.keys() - {file.name for file in folder.iterdir()})
    if unknown:
        more = f' and {len(unknown) - 3} more' if unknown[3:] else ''
        raise UserError(
            f'There are boxes for {", ".join(map(repr, unknown[:3]))}{more}, but no such file in '
            f"{folder}; name files without their folder, e.g. 'a.jpg'."
        )


def image_files(folder: Path) -> list[Path]:
    """The pictures in a folder, by name.

    Raises:
        UserError: If there are none.
    """
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    images = [file for file in files if file.is_file() and _kind(file) == 'image']
    if not images:
        raise UserError(f'{folder} is no folder with pictures.')
    return images


def read_images(files: Sequence[Path]) -> Iterator[tuple[Path, np.ndarray]]:
    """The pictures that can be read, (H, W, 3) uint8, BGR, with their files; others are skipped.

    Raises:
        UserError: If there was none.
    """
    readable = False
    for file in files:
        try:
            image = cv2.imread(str(file))
        except cv2.error:  # of a codec that is turned off, such as OpenEXR's
            image = None
        if image is None:
            print_log(f'{file} cannot be read and is skipped', 'current', logging.WARNING)
            continue
        readable = True
        yield file, image
    if not readable:
        raise UserError(f'None of the {len(files)} pictures can be read, e.g. {files[0]}.')


class Sheets:
    """Where the results are written, laid out and named as by the stock inferencer.

    Args:
        out_dir: Folder for ``predictions/`` and ``visualizations/``.
        files: The sources that will be written about.

    Raises:
        UserError: If two of them would be written to one file.
    """

    def __init__(self, out_dir: Path, files: Sequence[Path]):
        by_stem: dict[str, Path] = {}
        for file in files:
            other = by_stem.setdefault(file.stem, file)
            if other is not file:
                raise UserError(
                    f'{other.name} and {file.name} would both be written to {file.stem}.json: '
                    'rename one.'
                )
        self.predictions, self.pictures = out_dir / 'predictions', out_dir / 'visualizations'
        for folder in (self.predictions, self.pictures):
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, source: Path, found: Any) -> None:
        """Write what was found in a source."""
        mmengine.dump(found, self.predictions / f'{source.stem}.json', indent=2)

    def draw(self, source: Path, picture: np.ndarray) -> None:
        """Write the picture of a source, as JPEG where OpenCV cannot write the source's own format.

        Raises:
            UserError: If it cannot be written at all.
        """
        file = self.pictures / source.name
        # A format that is written may still have no colours, such as .pgm.
        if cv2.haveImageWriter(str(file)) and cv2.imwrite(str(file), picture):
            return
        file = file.with_suffix('.jpg')
        if not cv2.imwrite(str(file), picture):
            raise UserError(f'{file} cannot be written.')

    def film(self, source: Path, rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
        """Begin the pictures of a video, all in one file.

        Raises:
            UserError: If it cannot be written.
        """
        file = self.pictures / f'{source.stem}.mp4'
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'mp4v'), rate, size)
        if not writer.isOpened():
            raise UserError(f'{file} cannot be written.')
        return writer


def _infer_images(
    files: Sequence[Path], engine: Engine, sheets: Sheets, boxes: Mapping[str, Boxes]
) -> Summary:
    written = set()
    for file, image in track(read_images(files), 'pictures', total=len(files)):
        found, picture = engine(image, boxes.get(file.name))
        sheets.write(file, found)
        sheets.draw(file, picture)
        written.add(file)
    skipped = tuple(file for file in files if file not in written)
    return Summary(len(written), 'picture', skipped)


def _infer_video(file: Path, engine: Engine, sheets: Sheets, boxes: Boxes | None) -> Summary:
    video = cv2.VideoCapture(str(file))
    # Some files do not say how many frames they have.
    total = max(video.get(cv2.CAP_PROP_FRAME_COUNT), 0) or None
    frames, writer = [], None
    for image in track(_frames(video), 'frames', total=total):
        found, picture = engine(image, boxes)
        frames.append(dict(frame_id=len(frames), instances=found))
        if writer is None:
            rate = video.get(cv2.CAP_PROP_FPS) or FALLBACK_RATE
            writer = sheets.film(file, rate, picture.shape[1::-1])
        writer.write(picture)
    if writer is None:
        raise UserError(f'{file} is no video that can be read.')
    writer.release()
    sheets.write(file, frames)
    return Summary(len(frames), 'frame')


def _frames(video: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        there, image = video.read()
        if not there:
            return
        yield image


def _kind(file: Path) -> str:
    return (mimetypes.guess_type(file.name)[0] or '').split('/')[0]


def _is_box(box: Any) -> bool:
    numbers = isinstance(box, list) and len(box) == 4
    return (
        numbers
        and all(isinstance(value, (int, float)) for value in box)
        and (box[0] < box[2] and box[1] < box[3])
    )


def _thickness(image: np.ndarray) -> int:
    """Of lines that are seen in a large image and hide nothing in a small one."""
    return max(1, round(min(image.shape[:2]) / 150))

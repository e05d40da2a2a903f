"""Dataset of clips over any COCO-style dataset."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmpose.registry import DATASETS
from torch.utils.data import Dataset

from ...errors import UserError
from ...io.data_files import read_json
from ..places import place_of
from .structures import Clip

Track: TypeAlias = tuple[str, int | str]
"""Video and identity."""
MAX_REFETCH = 1000


@DATASETS.register_module()
class ClipDataset(Dataset):
    """Clips of one person each, from any COCO-style dataset of mmpose.

    The stock dataset reads annotations and pictures. Its pipeline runs for every frame. Every
    transform sees the same random numbers in all frames of a clip, so that flip, rotation, scale,
    shift and color are equal, relative to the person's box.

    :func:`~okdhp_mm.video.places.place_of` finds the video of an image and its frame number.
    ``track_id`` of an annotation is its identity. Without it, an image has one person. A frame
    without the person, or whose keypoints are all unlabeled, is a hole: clips do not cross it, and
    a whole track continues after it as a track of its own.

    Args:
        dataset: Config of the stock dataset.
        frames: Length T of a clip. None for whole tracks, to evaluate.
        stride: Distance between the frames of a clip in the numbering of the video.
        step: Distance between the first frames of two clips of a track; by default T, so that
            every frame is in one clip. With whole tracks it has no meaning.

    Raises:
        UserError: If the dataset has no annotation file with tracks, a person is twice in a frame,
            or no track is as long as a clip.
    """

    def __init__(
        self,
        dataset: ConfigDict,
        frames: int | None = None,
        stride: int = 1,
        step: int | None = None,
    ):
        for name, value in dict(frames=frames, stride=stride, step=step).items():
            if value is not None and (type(value) is not int or value < 1):
                raise UserError(f'ClipDataset: {name}={value!r} must be a number above zero.')
        self.dataset: Any = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        file = getattr(self.dataset, 'ann_file', None)
        if not file or getattr(self.dataset, 'bbox_file', None):
            raise UserError(
                f'ClipDataset needs a COCO-style dataset with ann_file and without bbox_file, not '
                f'{type(self.dataset).__name__}: detected boxes have no track_id.'
            )
        if getattr(self.dataset, 'data_mode', 'topdown') != 'topdown':
            raise UserError("ClipDataset needs data_mode='topdown': a clip shows one person.")
        tracks = self._read_tracks(Path(file))
        runs = [run for track in tracks.values() for run in consecutive(track, stride)]
        self.clips = [clip for run in runs for clip in cut(run, frames, step)]
        if not self.clips:
            longest = max(map(len, runs), default=0)
            raise UserError(
                f'{file} has no {frames} consecutive frames of one person at stride={stride}; the '
                f'longest track has {longest}. Reduce frames or stride.'
            )
        if frames and (short := sum(len(run) < frames for run in runs)):
            print_log(
                f'{short} of {len(runs)} tracks of {file} are shorter than {frames} frames and '
                'give no clip.',
                'current',
                logging.WARNING,
            )

    def _read_tracks(self, file: Path) -> dict[Track, dict[int, int]]:
        """Return for each track the index of the sample of each frame number."""
        content = read_json(file)
        places = {image['id']: place_of(image, file) for image in content['images']}
        images: dict[tuple[str, int], int] = {}
        for image, (video, number) in places.items():
            if (other := images.setdefault((video, number), image)) != image:
                raise UserError(
                    f'Images {other} and {image} in {file} are both frame {number} of video '
                    f'{video!r}. Give each image its own frame_id, and each video its own vid_id.'
                )
        identities = {label['id']: label.get('track_id') for label in content['annotations']}
        tracks: dict[Track, dict[int, int]] = {}
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            video, number = places[info['img_id']]
            identity = identities[info['id']]
            if not isinstance(identity, int | str | None):
                raise UserError(
                    f'Annotation {info["id"]} in {file} has track_id={identity!r}. Give it a whole '
                    'number or a name.'
                )
            track = tracks.setdefault((video, identity or 0), {})
            if number in track:
                raise UserError(
                    f'Frame {number} of video {video!r} in {file} has two persons with '
                    f'track_id={identity}. Give every person of a video a track_id of its own.'
                )
            track[number] = index
        return tracks

    @property
    def metainfo(self) -> dict:
        """Meta information of the stock dataset."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Clip:
        for _ in range(MAX_REFETCH):
            frames = [frame for frame in self._pack(self.clips[index]) if frame is not None]
            if len(frames) == len(self.clips[index]):
                return Clip(
                    [frame['inputs'] for frame in frames],
                    [frame['data_samples'] for frame in frames],
                )
            # As in mmengine, another sample replaces one that the pipeline dropped.
            index = int(np.random.randint(len(self)))
        raise UserError(f'The pipeline dropped a frame of {MAX_REFETCH} clips in a row.')

    def _pack(self, clip: list[int]) -> list[dict | None]:
        # One seed for each transform. With one for the pipeline, a transform that draws a number
        # in some frames only would change those of its successors.
        transforms = self.dataset.pipeline.transforms
        seeds = np.random.randint(2**31, size=len(transforms)).tolist()
        packed = []
        for index in clip:
            data = self.dataset.get_data_info(index)
            data['dataset'] = self.dataset
            rotation = 0.0
            for transform, seed in zip(transforms, seeds, strict=True):
                with seeded(seed):
                    data = transform(data)
                if data is None:
                    break
                rotation = float(np.ravel(data.get('bbox_rotation', rotation))[0])
            if data is not None:
                data['data_samples'].set_metainfo(dict(input_rotation=rotation))
            packed.append(data)
        return packed


def consecutive(track: dict[int, int], stride: int) -> Iterator[list[int]]:
    """Yield the runs of a track without holes.

    Args:
        track: Index of the sample of each frame number.
        stride: Distance of the frame numbers in a run. Frames between are in other runs.

    Yields:
        Indices of the samples, in the order of time.
    """
    for first in sorted(track):
        if first - stride in track:
            continue  # It is in the middle of a run.
        number, run = first, []
        while number in track:
            run.append(track[number])
            number += stride
        yield run


def cut(run: list[int], frames: int | None, step: int | None) -> Iterator[list[int]]:
    """Yield the clips of a run; the whole run if ``frames`` is None."""
    if frames is None:
        yield run
        return
    for first in range(0, len(run) - frames + 1, step or frames):
        yield run[first : first + frames]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators of Python, numpy and torch; restore their states at the end."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    # torch.manual_seed also prepares CUDA, which takes longer than most transforms.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])

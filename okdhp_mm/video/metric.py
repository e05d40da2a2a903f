"""Evaluate identities with trackeval: HOTA, identity switches, IDF1 and MOTA."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS

from ..errors import UserError
from .modes import build_tracker
from .places import place_of
from .tracker import REJECTED

INSTALL = (
    'Tracking metrics need trackeval: pip install --no-deps trackeval (its own requirements ask '
    'for a newer numpy than OpenCV 4.12 accepts; it runs with numpy 2.2)'
)


@dataclass(frozen=True)
class ComparedFrame:
    """True and found identities of one frame.

    Attributes:
        true_ids: (P,).
        found_ids: (N,); -1 where a pose has no identity.
        similarity: From 0 to 1, (P, N).
    """

    true_ids: np.ndarray
    found_ids: np.ndarray
    similarity: np.ndarray


def tracking_scores(videos: Iterable[Sequence[ComparedFrame]]) -> dict[str, float]:
    """Return HOTA, IDF1 and MOTA in percent, and the numbers of switches and fragments.

    MOTA hardly depends on identities. Read it together with HOTA and IDSW.

    Args:
        videos: All frames of each video in their order, also empty ones.

    Raises:
        UserError: If trackeval is missing, or an identity occurs twice in one frame.
    """
    try:
        from trackeval.metrics import CLEAR, HOTA, Identity
    except ImportError as error:
        raise UserError(f'{INSTALL} ({error}).') from None
    quiet = dict(PRINT_CONFIG=False)
    metrics = HOTA(), CLEAR(quiet), Identity(quiet)
    data = {str(index): _trackeval_data(frames) for index, frames in enumerate(videos)}
    hota, clear, identity = (
        metric.combine_sequences({name: metric.eval_sequence(d) for name, d in data.items()})
        for metric in metrics
    )
    return dict(
        HOTA=100 * float(hota['HOTA'].mean()),
        IDSW=float(clear['IDSW']),
        IDF1=100 * float(identity['IDF1']),
        MOTA=100 * float(clear['MOTA']),
        Frag=float(clear['Frag']),
    )


def _trackeval_data(frames: Sequence[ComparedFrame]) -> dict:
    """Return what trackeval evaluates, with identities that count from 0 without gaps.

    Raises:
        UserError: If an identity occurs twice in one frame: trackeval would score that as perfect.
    """
    numbers: tuple[dict, dict] = ({}, {})
    ids: tuple[list, list] = ([], [])
    similarities = []
    for index, frame in enumerate(frames):
        named = np.asarray(frame.found_ids) != REJECTED
        sides = np.asarray(frame.true_ids), np.asarray(frame.found_ids)[named]
        for side, known, given, word in zip(ids, numbers, sides, ('true', 'found'), strict=True):
            values, counts = np.unique(given, return_counts=True)
            if (counts > 1).any():
                raise UserError(
                    f'The {word} identity {values[counts > 1][0]} occurs {counts.max()} times in '
                    f'frame {index}. Give each identity once in a frame.'
                )
            side.append(np.array([known.setdefault(value, len(known)) for value in given], int))
        shape = len(sides[0]), len(named)
        similarities.append(np.asarray(frame.similarity, float).reshape(shape)[:, named])
    return dict(
        num_timesteps=len(frames),
        gt_ids=ids[0],
        tracker_ids=ids[1],
        similarity_scores=similarities,
        num_gt_ids=len(numbers[0]),
        num_tracker_ids=len(numbers[1]),
        num_gt_dets=sum(map(len, ids[0])),
        num_tracker_dets=sum(map(len, ids[1])),
    )


def keypoint_similarity(
    true: np.ndarray, visible: np.ndarray, areas: np.ndarray, found: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """Return COCO's OKS of P true and N found poses, (P, N), over the labeled keypoints.

    Args:
        true: (P, K, 2).
        visible: Whether a keypoint is labeled, (P, K).
        areas: Areas of the true persons in square pixels, (P,).
        found: (N, K, 2).
        sigmas: (K,).
    """
    distance = ((true[:, None] - found[None]) ** 2).sum(-1)
    tolerance = 2 * (2 * np.asarray(sigmas)) ** 2 * np.maximum(areas, 1)[:, None, None]
    close = np.where(visible[:, None], np.exp(-distance / tolerance), 0)
    return close.sum(-1) / np.maximum(visible.sum(-1), 1)[:, None]


@dataclass(frozen=True)
class TrueFrame:
    """Labels of one frame: identities (P,), keypoints (P, K, 3) and areas (P,)."""

    image_id: int
    time: float
    track_ids: np.ndarray
    keypoints: np.ndarray
    areas: np.ndarray


def read_videos(file: str | Path, frame_rate: float) -> dict[str, list[TrueFrame]]:
    """Read a COCO-like file with identities: the frames of each video in their order.

    :func:`~okdhp_mm.video.places.place_of` finds video and place of an image. Annotations have
    ``track_id``.

    Raises:
        UserError: If the file cannot be read or lacks one of these.
    """
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        images, annotations = content['images'], content['annotations']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{file} is not a COCO file with images and annotations ({error!r}).'
        ) from None
    labels: dict[int, list[dict]] = {}
    for label in annotations:
        if 'track_id' not in label:
            raise UserError(
                f'Annotation {label.get("id")} in {file} has no track_id. Tracking metrics need it.'
            )
        if any(label.get('keypoints', ())[2::3]):
            labels.setdefault(label['image_id'], []).append(label)
    videos: dict[str, list[tuple[int, dict]]] = {}
    for image in images:
        name, number = place_of(image, file)
        videos.setdefault(name, []).append((number, image))
    return {name: _true_frames(frames, labels, frame_rate) for name, frames in videos.items()}


def _true_frames(frames, labels: dict[int, list[dict]], frame_rate: float) -> list[TrueFrame]:
    ordered = sorted(frames, key=lambda frame: frame[0])
    first = ordered[0][0]
    return [
        _true_frame(image, (number - first) / frame_rate, labels.get(image['id'], []))
        for number, image in ordered
    ]


def _true_frame(image: dict, time: float, labels: list[dict]) -> TrueFrame:
    keypoints = np.array([np.reshape(label['keypoints'], (-1, 3)) for label in labels], float)
    areas = [label.get('area') or np.prod(label['bbox'][2:]) for label in labels]
    ids = np.array([label['track_id'] for label in labels])
    return TrueFrame(image['id'], time, ids, keypoints, np.array(areas, float))


@METRICS.register_module()
class TrackingMetric(BaseMetric):
    """Tracks the predicted poses of each video and evaluates the identities.

    Frames and true identities come from the annotation file, so that frames without a person count
    as well. MOTA alone says little of identities; HOTA and IDSW are always given with it.

    Args:
        ann_file: COCO-like file, see :func:`read_videos`.
        tracker: Arguments of :func:`~okdhp_mm.video.modes.build_tracker`.
        frame_rate: Frames per second of the videos.
        collect_device: As in mmengine.
        prefix: Prefix of the names of the values.

    Raises:
        UserError: If the file or the tracker's settings cannot be used.
    """

    default_prefix = 'tracking'

    def __init__(
        self,
        ann_file: str,
        tracker: dict | None = None,
        frame_rate: float = 25.0,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(collect_device, prefix)
        if not frame_rate > 0:
            raise UserError(f'frame_rate={frame_rate} must be positive.')
        self.videos = read_videos(ann_file, frame_rate)
        self.tracker = dict(tracker or {})
        build_tracker(**self.tracker)  # a wrong setting fails before the network runs

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Store the predicted poses of a batch, one sample for each person or image."""
        for sample in data_samples:
            found = sample['pred_instances']
            self.results.append(
                dict(
                    sample=str(sample.get('id', sample['img_id'])),
                    image_id=sample['img_id'],
                    keypoints=np.asarray(found['keypoints'], float),
                    scores=np.asarray(found['keypoint_scores'], float),
                    boxes=np.asarray(found['bboxes'], float),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Track each video and return the values of :func:`tracking_scores`."""
        # Distributed samplers repeat samples to fill the last batch.
        unique = {(entry['image_id'], entry['sample']): entry for entry in results}
        found: dict[int, list[dict]] = {}
        for entry in unique.values():
            found.setdefault(entry['image_id'], []).append(entry)
        known = {frame.image_id for frames in self.videos.values() for frame in frames}
        if missing := found.keys() - known:
            raise UserError(
                f'Image {min(missing)} is not in the annotation file of TrackingMetric. Give it '
                'the file of the evaluated dataset.'
            )
        if unseen := len(known - found.keys()):
            print_log(
                f'{unseen} of {len(known)} frames have no predictions.', 'current', logging.WARNING
            )
        return tracking_scores(self._compare(frames, found) for frames in self.videos.values())

    def _compare(self, frames: list[TrueFrame], found: dict[int, list[dict]]) -> list:
        tracker, poses = build_tracker(**self.tracker), []
        for frame in frames:
            entries = found.get(frame.image_id, [])
            parts = [
                np.concatenate([entry[name] for entry in entries]) if entries else np.zeros(0)
                for name in ('keypoints', 'scores', 'boxes')
            ]
            # The height of a single keypoint is that of its box.
            boxes = parts[2] if parts[0].shape[1:2] == (1,) else None
            tracker.update(frame.time, parts[0], parts[1], boxes)
            poses.append(parts[0])
        sigmas = np.asarray((self.dataset_meta or {}).get('sigmas', 0.08), float)
        return [
            ComparedFrame(frame.track_ids, ids, _similarity(frame, keypoints, sigmas))
            for frame, keypoints, ids in zip(frames, poses, tracker.finish(), strict=True)
        ]


def _similarity(frame: TrueFrame, found: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    if not len(frame.track_ids) or not len(found):
        return np.zeros((len(frame.track_ids), len(found)))
    true, visible = frame.keypoints[..., :2], frame.keypoints[..., 2] > 0
    return keypoint_similarity(true, visible, frame.areas, found, sigmas)

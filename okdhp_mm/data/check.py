"""Check the annotations and pictures that a config names, before anything is built."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.datasets.datasets.body import MpiiDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from ..datasets.unlabeled import UnlabeledDataset
from ..errors import UserError, as_user_error
from ..evaluation.evaluator_config import walk_metrics
from ..io.data_files import read_json
from .annotations import CocoLayout, check_coco, check_detections, check_mpii, check_unlabeled
from .pictures import check_pictures

SMALL = 500
"""Largest number of pictures of a dataset that are decoded without being asked."""


def check_datasets(cfg: Config, *splits: str, decode: bool | None = None) -> None:
    """Check annotations and pictures of every dataset of these splits.

    Args:
        cfg: Any config.
        splits: 'train', 'val' or 'test'.
        decode: Whether to decode the pictures; by default those of small datasets.

    Raises:
        UserError: If one cannot be used; it names file, entry and reason.
    """
    init_default_scope(cfg.get('default_scope') or 'mmpose')
    for split in splits:
        loader, evaluator = cfg.get(f'{split}_dataloader'), cfg.get(f'{split}_evaluator')
        metrics = [] if split == 'train' else [m for _, m in walk_metrics(evaluator or [])]
        key = f'{split}_dataloader.dataset'
        if loader:
            for dataset, keypoints in leaf_datasets(loader.dataset):
                check_dataset(dataset, key, metrics, decode)
                check_head(cfg, dataset, key, keypoints)


def inner_datasets(dataset: ConfigDict) -> list[ConfigDict]:
    """Return the datasets that a wrapper contains, outermost only."""
    inner = [*(dataset.get('datasets') or ()), dataset.get('dataset')]
    return [part for part in inner if isinstance(part, dict)]


def nested_datasets(dataset: ConfigDict) -> Iterator[ConfigDict]:
    """Yield a dataset and all that it contains, the outermost first."""
    yield dataset
    for part in inner_datasets(dataset):
        yield from nested_datasets(part)


def leaf_datasets(
    dataset: ConfigDict, keypoints: int | None = None
) -> Iterator[tuple[ConfigDict, Any]]:
    """Yield the datasets that wrappers contain, and what the outermost converter makes of them.

    Args:
        dataset: Config of a dataset.
        keypoints: Number of keypoints that a converter of a wrapper makes.
    """
    for transform in reversed(dataset.get('pipeline') or ()):
        if keypoints is None and transform.get('type') == 'KeypointConverter':
            keypoints = transform.get('num_keypoints')
    inner = inner_datasets(dataset)
    if not inner:
        yield dataset, keypoints
    for part in inner:
        yield from leaf_datasets(part, keypoints)


def check_dataset(
    dataset: ConfigDict, key: str, metrics: Sequence[dict] = (), decode: bool | None = None
) -> None:
    """Check annotations and pictures of one dataset.

    Args:
        dataset: Its config.
        key: Key of the config, to name in errors.
        metrics: Configs of the metrics that evaluate it.
        decode: Whether to decode the pictures; by default those of small datasets.

    Raises:
        UserError: If something cannot be used.
    """
    kind = class_of(dataset)
    path = os.path.join(dataset.get('data_root') or '', dataset.get('ann_file') or '')
    if kind is None or '://' in path or not path.endswith('.json'):
        return
    content = read_json(path)
    meta = metainfo_of(dataset, key)
    if issubclass(kind, MpiiDataset):
        boxes = dataset.get('headbox_file')
        check_mpii(path, content, meta['num_keypoints'], boxes and head_boxes(boxes))
    elif issubclass(kind, UnlabeledDataset):
        check_unlabeled(path, content)
    elif kind._load_annotations is BaseCocoStyleDataset._load_annotations:
        plain = kind.parse_data_info is BaseCocoStyleDataset.parse_data_info
        count = meta.get('num_keypoints') if plain else None
        coco = [metric for metric in metrics if metric.get('type') == 'CocoMetric']
        check_coco(path, content, CocoLayout(count, plain, evaluation_fields(coco)))
        if coco and plain:
            check_sigmas(dataset, key, meta)
        boxes_file = dataset.get('bbox_file')
        if boxes_file and plain and boxes_file.endswith('.json') and '://' not in boxes_file:
            check_detections(boxes_file, read_json(boxes_file), content['images'])
    else:
        return
    pictures = pictures_of(dataset, content)
    if pictures and '://' not in pictures[0]:
        check_pictures(pictures, len(set(pictures)) <= SMALL if decode is None else decode)


def pictures_of(dataset: ConfigDict, content: Any) -> list[str]:
    """Return the paths of the pictures of a dataset that mmpose's readers of annotations read.

    Args:
        dataset: Its config.
        content: Checked content of its annotation file.
    """
    if isinstance(content, list):  # of MPII's layout
        names = [person['image'] for person in content]
    else:
        used = {annotation['image_id'] for annotation in content['annotations']}
        names = [image['file_name'] for image in content['images'] if image['id'] in used]
    prefix = (dataset.get('data_prefix') or {}).get('img') or ''
    folder = os.path.join(dataset.get('data_root') or '', prefix)
    return [os.path.join(folder, name) for name in names]


def class_of(dataset: ConfigDict) -> type[Any] | None:
    """Return the class of a dataset if mmpose's readers of annotations are its base."""
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return kind if isinstance(kind, type) and issubclass(kind, BaseCocoStyleDataset) else None


def own_metainfo(dataset: ConfigDict) -> dict | None:
    """Return the metainfo of a dataset, its own or that of its class; None for a wrapper."""
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return dataset.get('metainfo') or getattr(kind, 'METAINFO', None)


def metainfo_of(dataset: ConfigDict, key: str) -> dict:
    """Return the parsed metainfo of a dataset.

    Raises:
        UserError: If it cannot be parsed, its parts have different numbers of keypoints, or these
            are not in order.
    """
    given = dataset.get('metainfo')
    if not given:
        kind = class_of(dataset)
        assert kind is not None  # callers pass datasets of mmpose's readers
        given = kind.METAINFO
    kinds = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
    with as_user_error(f'{key}.metainfo cannot be used', *kinds):
        meta = parse_pose_metainfo(given)
    count, weights = meta.get('num_keypoints'), meta.get('dataset_keypoint_weights')
    if count is not None and weights is not None and len(weights) != count:
        raise UserError(
            f'{key}.metainfo has {len(weights)} joint_weights for {count} keypoints. '
            'Give one per keypoint.'
        )
    numbers = list(meta.get('keypoint_id2name', {}))
    if numbers != list(range(len(numbers))):
        raise UserError(
            f'{key}.metainfo.keypoint_info has the keys {str(numbers)[1:-1]}, but they must be the '
            f'numbers 0 to {len(numbers) - 1} in this order. Sort them.'
        )
    return meta


def check_sigmas(dataset: ConfigDict, key: str, meta: dict) -> None:
    """Check that there is one sigma per keypoint.

    Raises:
        UserError: If there is not.
    """
    count, sigmas = meta.get('num_keypoints'), meta.get('sigmas')
    if count is not None and (sigmas is None or len(sigmas) != count or not (sigmas > 0).all()):
        raise UserError(
            f'{key}.metainfo has {0 if sigmas is None else len(sigmas)} sigmas for {count} '
            'keypoints, and CocoMetric needs one positive number per keypoint. '
            f'Without measured ones, use sigmas=[0.05] * {count}.'
        )


def evaluation_fields(metrics: Sequence[dict]) -> list[str]:
    """Return the fields that these CocoMetrics need in every annotation."""
    if not metrics:
        return []
    # A metric with its own file evaluates all annotations, also those that the dataset skips.
    fields = ['keypoints'] if any(metric.get('ann_file') for metric in metrics) else []
    fields.append('iscrowd')
    if any(metric.get('use_area', True) for metric in metrics):
        fields.append('area')
    return fields


def head_boxes(path: str) -> int:
    """Return the number of boxes in a file of MPII's head boxes.

    Raises:
        UserError: If the file has none.
    """
    kinds = (LookupError, MatReadError, NotImplementedError, OSError, TypeError, ValueError)
    with as_user_error(f'headbox_file {path} cannot be read', *kinds):
        return loadmat(path)['headboxes_src'].shape[2]


def check_head(cfg: Config, dataset: ConfigDict, key: str, keypoints: int | None) -> None:
    """Check that the head predicts as many keypoints as the dataset has.

    Args:
        cfg: Config with the model.
        dataset: Config of the dataset.
        key: Key of the dataset, to name in errors.
        keypoints: Number of keypoints that converters make of the dataset's.

    Raises:
        UserError: If it predicts another number.
    """
    head = (cfg.get('model') or {}).get('head') or {}
    outputs = head.get('out_channels')
    decoder = head.get('decoder')
    combined = isinstance(decoder, dict) and decoder.get('heatmap_type') == 'combined'
    if keypoints is None and class_of(dataset) is not None:
        keypoints = metainfo_of(dataset, key).get('num_keypoints')
    if isinstance(outputs, int) and keypoints and outputs != keypoints and not combined:
        raise UserError(
            f'model.head.out_channels={outputs}, but {key} gives {keypoints} keypoints. '
            f'Set model.head.out_channels={keypoints}.'
        )

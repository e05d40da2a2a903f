"""Pseudo-labels move through the data pipeline exactly like labels."""

import copy
import os

import numpy as np
import pytest
from mmcv.transforms import BaseTransform, Compose
from mmpose.registry import TRANSFORMS

from okdhp_mm.data.pseudo_labels.table import PseudoLabelTable, write_table
from okdhp_mm.errors import UserError

K = 4
FLIP = [1, 0, 3, 2]
MSRA = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
UDP = dict(type='UDPHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
SIMCC = dict(type='SimCCLabel', input_size=(64, 64), sigma=4.0)
POINTS = np.array([[30, 40], [60, 50], [45, 80], [70, 20]], np.float32)


@TRANSFORMS.register_module(force=True)
class Shift(BaseTransform):
    """Moves keypoints in an unknown way."""

    def transform(self, results):
        return results | dict(keypoints=results['keypoints'] + 1)


def steps(codec, *more):
    return [
        dict(type='GetBBoxCenterScale'),
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomHalfBody', min_total_keypoints=2, min_upper_keypoints=1, prob=0.5),
        dict(type='RandomBBoxTransform'),
        dict(type='TopdownAffine', input_size=(64, 64), use_udp=codec is UDP),
        *more,
        dict(type='GenerateTarget', encoder=codec),
        dict(type='PackPoseInputs'),
    ]


def sample(number=7):
    return dict(
        img=np.zeros((120, 100, 3), np.uint8),
        img_path='folder/a.jpg',
        id=number,
        img_shape=(120, 100),
        ori_shape=(120, 100),
        bbox=np.array([[20, 10, 80, 100]], np.float32),
        bbox_score=np.ones(1, np.float32),
        keypoints=POINTS[None].copy(),
        keypoints_visible=np.ones((1, K), np.float32),
        flip_indices=FLIP,
        upper_body_ids=[0, 1],
        lower_body_ids=[2, 3],
        dataset_keypoint_weights=np.ones(K, np.float32),
    )


def table(folder, scores=(1, 1, 1, 1), shift=0.0):
    file = folder / 'points.npz'
    points = np.column_stack([POINTS + shift, scores])
    # A user's folder is relative, the table is not.
    write_table(file, [os.path.abspath('folder/a.jpg')], [7], points[None])
    return str(file)


def run(file, codec, results, *more, seed=0):
    np.random.seed(seed)
    wrapped = dict(type='WithPseudoLabels', file=file, transforms=steps(codec, *more)[1:])
    return Compose([TRANSFORMS.build(steps(codec)[0]), TRANSFORMS.build(wrapped)])(results)


def maps(packed):
    labels = packed.gt_instance_labels
    return packed.gt_fields.heatmaps if 'gt_fields' in packed else labels.keypoint_x_labels


@pytest.mark.parametrize('codec', [MSRA, UDP, SIMCC], ids=lambda codec: codec['type'])
def test_pseudo_labels_equal_to_the_labels_become_the_same_targets(tmp_path, codec):
    file, flipped = table(tmp_path), set()
    for seed in range(8):
        packed = run(file, codec, sample(), seed=seed)['data_samples']
        pseudo = packed.pseudo_labels
        assert (maps(packed) == maps(pseudo)).all()
        assert maps(packed).any()
        weights = pseudo.gt_instance_labels.keypoint_weights
        assert (weights == packed.gt_instance_labels.keypoint_weights).all()
        flipped.add(packed.metainfo['flip'])
    assert flipped == {True, False}


def test_labels_are_those_of_the_pipeline_without_pseudo_labels(tmp_path):
    file = table(tmp_path, shift=9.0)
    for seed in range(4):
        found = run(file, MSRA, sample(), seed=seed)
        np.random.seed(seed)
        stock = Compose([TRANSFORMS.build(step) for step in steps(MSRA)])(sample())
        assert (found['inputs'] == stock['inputs']).all()
        assert (maps(found['data_samples']) == maps(stock['data_samples'])).all()
        assert (maps(found['data_samples']) != maps(found['data_samples'].pseudo_labels)).any()


def test_scores_are_weights_and_follow_a_flip(tmp_path):
    file = table(tmp_path, scores=(0.2, 0.9, 0, 1.7))
    seen = set()
    for seed in range(8):
        packed = run(file, MSRA, sample(), seed=seed)['data_samples']
        pseudo = packed.pseudo_labels
        weights = pseudo.gt_instance_labels.keypoint_weights[0].numpy()
        peaks = pseudo.gt_fields.heatmaps.amax((1, 2)).numpy()
        expected = np.array([0.2, 0.9, 0, 1], np.float32)
        expected = expected[FLIP] if packed.metainfo['flip'] else expected
        seen.add(packed.metainfo['flip'])
        # A keypoint outside of the crop has no peak and no weight.
        assert weights == pytest.approx(expected * (peaks > 0))
        assert peaks[expected == 0] == 0
    assert seen == {True, False}


def test_another_person_has_no_pseudo_labels(tmp_path):
    pseudo = run(table(tmp_path), MSRA, sample(number=8))['data_samples'].pseudo_labels
    assert not pseudo.gt_instance_labels.keypoint_weights.any()


def test_visibilities_with_a_weight_stay_so(tmp_path):
    results = sample()
    results['keypoints_visible'] = np.ones((1, K, 2), np.float32)
    packed = run(table(tmp_path, scores=[0.5] * K), MSRA, results)['data_samples']
    assert packed.pseudo_labels.gt_instance_labels.keypoint_weights.max() == 0.5
    assert packed.gt_instance_labels.keypoint_weights.max() == 1


def test_an_unknown_move_is_refused(tmp_path):
    with pytest.raises(UserError, match='Shift in the training pipeline moves keypoints'):
        np.random.seed(0)
        wrapped = dict(
            type='WithPseudoLabels', file=table(tmp_path), transforms=[dict(type='Shift')]
        )
        TRANSFORMS.build(wrapped)(sample())


def test_other_keypoints_than_those_of_the_file_are_refused(tmp_path):
    results = sample()
    results['keypoints'] = results['keypoints'][:, :3]
    with pytest.raises(UserError, match='has 4 keypoints, but the persons have 3'):
        run(table(tmp_path), MSRA, results)


def test_a_table_is_read_as_it_was_written(tmp_path):
    file = tmp_path / 'points.npz'
    points = np.random.rand(2, K, 3).astype(np.float32)
    write_table(file, ['/a.jpg', '/b.jpg'], [1, 1], points)
    found = copy.deepcopy(PseudoLabelTable(file))
    assert (found.find('/b.jpg', 1) == points[1]).all()
    assert found.find('/b.jpg', 2) is None

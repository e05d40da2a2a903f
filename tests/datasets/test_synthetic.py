import json
import shutil

import cv2
import numpy as np
import pytest

from okdhp_mm.datasets.synthetic import (
    KEYPOINTS,
    OWNERS,
    SKELETON,
    Part,
    draw_figure,
    visibility_of,
    write_coco,
)


def figures(count, stream=0):
    return [draw_figure(np.random.default_rng([stream, index])) for index in range(count)]


@pytest.fixture(scope='module')
def sample():
    return figures(60)


@pytest.fixture(scope='module')
def coco_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('figures')
    write_coco(folder, 'train', 6, seed=0)
    write_coco(folder, 'val', 5, seed=0)
    return folder


# ------------------------------------------------------------------------------------- figures


def test_equal_seeds_give_equal_figures_and_others_differ():
    first, again, other = (draw_figure(np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.keypoints, again.keypoints)
    np.testing.assert_array_equal(first.visibility, again.visibility)
    assert first.image.shape != other.image.shape or (first.image != other.image).any()


def test_shapes_and_types(sample):
    for figure in sample:
        height, width = figure.parts.shape
        assert figure.image.shape == (height, width, 3)
        assert figure.image.dtype == np.uint8
        assert figure.keypoints.shape == (17, 2)
        assert figure.visibility.shape == (17,)
        assert set(figure.visibility) <= {0, 1, 2}


def test_a_visible_keypoint_lies_on_its_own_part(sample):
    for figure in sample:
        for k in np.flatnonzero(figure.visibility == 2):
            x, y = np.rint(figure.keypoints[k]).astype(int)
            assert figure.parts[y, x] in OWNERS[k], KEYPOINTS[k]


def test_flag_zero_means_outside_of_the_image_and_nothing_else(sample):
    for figure in sample:
        height, width = figure.parts.shape
        pixels = np.rint(figure.keypoints)
        outside = ((pixels < 0) | (pixels > (width - 1, height - 1))).any(1)
        np.testing.assert_array_equal(figure.visibility == 0, outside)
    assert any((figure.visibility == 0).any() for figure in sample)


def test_an_object_in_front_hides_the_keypoint_that_it_covers(sample):
    turned_away = np.zeros(17, bool)
    figure = next(f for f in sample if f.visibility[9] == 2)
    x, y = np.rint(figure.keypoints[9]).astype(int)
    covered = figure.parts.copy()
    covered[y - 1 : y + 2, x - 1 : x + 2] = Part.OCCLUDER
    assert visibility_of(figure.parts, figure.keypoints, turned_away)[9] == 2
    assert visibility_of(covered, figure.keypoints, turned_away)[9] == 1


def test_occluders_on_the_pictures_hide_what_lies_below(sample):
    below = [
        figure.visibility[k]
        for figure in sample
        for k, (x, y) in enumerate(np.rint(figure.keypoints).astype(int))
        if figure.visibility[k] and figure.parts[y, x] == Part.OCCLUDER
    ]
    assert len(below) >= 10
    assert set(below) == {1}


def test_a_keypoint_turned_away_is_hidden_though_its_part_is_seen():
    parts = np.full((20, 20), Part.HEAD, np.uint8)
    turned_away = np.arange(17) == 1
    flags = visibility_of(parts, np.full((17, 2), 10.0), turned_away)
    assert (flags[1], flags[2]) == (1, 2)


def test_silhouette_and_box_agree(sample):
    for figure in sample:
        x, y, width, height = figure.bbox.astype(int)
        inside = figure.silhouette[y : y + height, x : x + width]
        assert inside.sum() == figure.silhouette.sum()
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
        # An object may cover the person, never the other way round.
        person = figure.parts >= Part.TORSO
        assert not (person & ~figure.silhouette).any()


def test_elbows_knees_and_ankles_lie_where_two_parts_meet(sample):
    joints = {
        'elbow': ('UPPER_ARM', 'FOREARM'),
        'knee': ('THIGH', 'SHANK'),
        'ankle': ('SHANK', 'FOOT'),
    }
    meets = []
    for figure in sample:
        reach = 0.05 * figure.bbox[2:].max()
        rows, columns = np.indices(figure.parts.shape)
        for k in np.flatnonzero(figure.visibility == 2):
            side, _, name = KEYPOINTS[k].partition('_')
            if name in joints:
                x, y = figure.keypoints[k]
                near = figure.parts[np.hypot(columns - x, rows - y) < reach]
                meets.append(all(Part[f'{side}_{p}'.upper()] in near for p in joints[name]))
    assert len(meets) > 200
    # The other part may be hidden: a foot that points away, an arm folded over.
    assert np.mean(meets) > 0.9


def test_a_mirrored_figure_with_swapped_sides_has_the_same_flags(sample):
    from mmpose.datasets.datasets.body import CocoDataset

    flip = CocoDataset(test_mode=True, lazy_init=True).metainfo['flip_indices']
    mirrored_part = np.arange(len(Part))
    for part in Part:
        swapped = part.name.replace('LEFT', '@').replace('RIGHT', 'LEFT').replace('@', 'RIGHT')
        mirrored_part[part] = Part[swapped]
    nobody = np.zeros(17, bool)
    for figure in sample:
        parts = mirrored_part[figure.parts[:, ::-1]]
        keypoints = figure.keypoints.round() * (-1, 1) + (parts.shape[1] - 1, 0)
        flags = visibility_of(parts, keypoints[flip], nobody)
        plain = visibility_of(figure.parts, figure.keypoints, nobody)
        np.testing.assert_array_equal(flags, plain[flip])


def test_each_eye_is_on_the_side_of_its_own_ear(sample):
    both = [figure.keypoints for figure in sample if (figure.visibility[1:3] == 2).all()]
    assert len(both) > 20
    for keypoints in both:
        assert (keypoints[1] - keypoints[2]) @ (keypoints[3] - keypoints[4]) > 0


def test_left_is_on_the_right_of_the_image_exactly_when_the_face_is_seen():
    """Left and right must be told by the looks: a face is seen from the front only."""
    upright = [f for f in figures(150, stream=1) if f.visibility[5:7].all()]
    across = [(f.keypoints[5] - f.keypoints[6])[0] / np.hypot(*f.bbox[2:]) for f in upright]
    faces = [(f.visibility[1:3] == 2).sum() for f in upright]
    clear = [(a, n) for a, n in zip(across, faces, strict=True) if abs(a) > 0.12 and n != 1]
    agree = np.mean([(a > 0) == (n == 2) for a, n in clear])
    assert len(clear) > 50
    # Not all: a cap or an object hides eyes at times, and a head can look back.
    assert agree > 0.85


def test_variety(sample):
    """Front and back views, hidden and cut keypoints all occur; most keypoints are visible."""
    flags = np.concatenate([figure.visibility for figure in sample])
    assert 0.6 < np.mean(flags == 2) < 0.9
    assert 0.1 < np.mean(flags == 1) < 0.35
    noses = [figure.visibility[0] == 2 for figure in sample]
    assert 0.4 < np.mean(noses) < 0.95


def test_keypoints_are_joined_by_the_body(sample):
    """The middle of a visible forearm or shank belongs to the person."""
    owned = []
    for figure in sample:
        for a, b in ((7, 9), (8, 10), (13, 15), (14, 16)):
            if figure.visibility[a] == figure.visibility[b] == 2:
                x, y = np.rint(figure.keypoints[[a, b]].mean(0)).astype(int)
                owned.append(figure.silhouette[y, x])
    assert len(owned) > 50
    assert all(owned)


def test_skeleton_and_order_are_those_of_coco():
    from mmpose.datasets.datasets.body import CocoDataset

    meta = CocoDataset(test_mode=True, lazy_init=True).metainfo
    assert tuple(meta['keypoint_id2name'][k] for k in range(17)) == KEYPOINTS
    assert sorted(map(tuple, meta['skeleton_links'])) == sorted(SKELETON)


# ----------------------------------------------------------------------------------- COCO files


def test_coco_file_is_read_by_xtcocotools(coco_folder):
    from xtcocotools.coco import COCO

    coco = COCO(str(coco_folder / 'annotations' / 'person_keypoints_train2017.json'))
    assert len(coco.getImgIds()) == 6
    for annotation in coco.loadAnns(coco.getAnnIds()):
        image = coco.loadImgs(annotation['image_id'])[0]
        pixels = cv2.imread(str(coco_folder / 'train2017' / image['file_name']))
        assert pixels.shape[:2] == (image['height'], image['width'])
        xyv = np.reshape(annotation['keypoints'], (17, 3))
        assert annotation['num_keypoints'] == (xyv[:, 2] > 0).sum()
        assert (xyv[xyv[:, 2] == 0] == 0).all()
        _, _, width, height = annotation['bbox']
        assert 0.2 < annotation['area'] / (width * height) < 0.8
        # The polygons are simplified, yet they outline the same person.
        assert coco.annToMask(annotation).sum() == pytest.approx(annotation['area'], rel=0.15)


def test_perfect_predictions_get_full_marks(coco_folder):
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    truth = COCO(str(coco_folder / 'annotations' / 'person_keypoints_val2017.json'))
    results = [
        {key: a[key] for key in ('image_id', 'category_id', 'keypoints')} | {'score': 1.0}
        for a in truth.loadAnns(truth.getAnnIds())
    ]
    sigmas = np.full(17, 0.05)
    evaluation = COCOeval(truth, truth.loadRes(results), 'keypoints', sigmas)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_stock_pipeline_puts_targets_on_the_keypoints(coco_folder):
    from mmpose.registry import DATASETS
    from mmpose.utils import register_all_modules

    register_all_modules()
    codec = {'type': 'MSRAHeatmap', 'input_size': (96, 128), 'heatmap_size': (24, 32), 'sigma': 1.5}
    pipeline = [
        {'type': 'LoadImage'},
        {'type': 'GetBBoxCenterScale'},
        {'type': 'TopdownAffine', 'input_size': (96, 128)},
        {'type': 'GenerateTarget', 'encoder': codec},
        {'type': 'PackPoseInputs'},
    ]
    dataset = DATASETS.build(
        {
            'type': 'CocoDataset',
            'data_root': str(coco_folder),
            'ann_file': 'annotations/person_keypoints_train2017.json',
            'data_prefix': {'img': 'train2017/'},
            'pipeline': pipeline,
        }
    )
    assert len(dataset) == 6
    for packed in (dataset[index] for index in range(6)):
        assert packed['inputs'].shape == (3, 128, 96)
        heatmaps = packed['data_samples'].gt_fields.heatmaps
        weights = packed['data_samples'].gt_instance_labels.keypoint_weights[0]
        assert heatmaps.shape == (17, 32, 24)
        assert (heatmaps.amax((1, 2))[weights > 0] > 0.75).all()


def test_a_complete_set_is_left_as_it_is(coco_folder):
    annotation = coco_folder / 'annotations' / 'person_keypoints_train2017.json'
    before = annotation.stat().st_mtime_ns
    assert write_coco(coco_folder, 'train', 6, seed=0) == annotation
    assert annotation.stat().st_mtime_ns == before


def test_other_parameters_are_refused_and_nothing_is_lost(coco_folder):
    annotation = coco_folder / 'annotations' / 'person_keypoints_train2017.json'
    before = annotation.read_bytes()
    for count, seed in ((7, 0), (6, 1)):
        with pytest.raises(FileExistsError, match='holds something other than'):
            write_coco(coco_folder, 'train', count, seed)
    assert annotation.read_bytes() == before


def test_a_folder_with_other_images_is_refused(tmp_path):
    photo = tmp_path / 'train2017' / 'holiday.jpg'
    photo.parent.mkdir()
    photo.write_bytes(b'not ours')
    with pytest.raises(FileExistsError, match='train2017'):
        write_coco(tmp_path, 'train', 2, seed=0)
    assert photo.read_bytes() == b'not ours'
    assert [path.name for path in tmp_path.rglob('*')] == ['train2017', 'holiday.jpg']


def test_a_set_with_a_missing_image_is_not_complete(coco_folder, tmp_path):
    folder = tmp_path / 'copy'
    shutil.copytree(coco_folder, folder)
    next((folder / 'val2017').glob('*.jpg')).unlink()
    with pytest.raises(FileExistsError, match='remove it'):
        write_coco(folder, 'val', 5, seed=0)


def test_an_interrupted_set_is_made_anew(tmp_path):
    partial = tmp_path / '.train2017.partial'
    partial.mkdir()
    (partial / '000000000009.jpg').write_bytes(b'half')
    content = json.loads(write_coco(tmp_path, 'train', 2, seed=0).read_text())
    names = sorted(path.name for path in (tmp_path / 'train2017').iterdir())
    assert names == [image['file_name'] for image in content['images']]
    assert not partial.exists()


def test_train_and_val_share_no_figure(coco_folder):
    first = [cv2.imread(str(coco_folder / f'{s}2017' / f'{1:012d}.jpg')) for s in ('train', 'val')]
    assert first[0].shape != first[1].shape or (first[0] != first[1]).any()


def test_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match='train'):
        write_coco(tmp_path, 'test', 1, seed=0)

import json
import sys

import cv2
import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.datasets import CocoDataset
from test_tracker import person

from okdhp_mm.errors import UserError
from okdhp_mm.video.metric import ComparedFrame, TrackingMetric, read_videos, tracking_scores

PIPELINE = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(64, 64)),
    dict(type='PackPoseInputs'),
]
FRAMES = 8


@pytest.fixture
def _trackeval():
    pytest.importorskip('trackeval', reason='comes with pip install --no-deps trackeval')


def frames(found):
    return [ComparedFrame(np.array([5, 9]), np.array(ids), np.eye(2)) for ids in found]


@pytest.mark.usefixtures('_trackeval')
def test_perfect_identities():
    found = tracking_scores([frames([[70, 3]] * 5)])
    assert found == dict(HOTA=100, IDSW=0, IDF1=100, MOTA=100, Frag=0)


@pytest.mark.usefixtures('_trackeval')
def test_swapped_identities():
    found = tracking_scores([frames([[0, 1]] * 5 + [[1, 0]] * 5)])
    assert found['IDSW'] == 2
    assert found['IDF1'] == 50
    assert found['MOTA'] == 90, 'MOTA hardly sees it'
    assert 50 < found['HOTA'] < 75


@pytest.mark.usefixtures('_trackeval')
def test_poses_without_an_identity_are_missed():
    found = tracking_scores([frames([[0, -1]] * 4)])
    assert found['MOTA'] == 50
    assert found['IDSW'] == 0


@pytest.mark.usefixtures('_trackeval')
def test_videos_and_empty_frames():
    nothing = ComparedFrame(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 0)))
    lost = ComparedFrame(np.array([5, 9]), np.zeros(0, int), np.zeros((2, 0)))
    found = tracking_scores([[nothing, *frames([[0, 1]] * 3)], [lost] * 3, [nothing]])
    assert found['MOTA'] == 50


@pytest.mark.usefixtures('_trackeval')
@pytest.mark.parametrize(
    ('true', 'found', 'word'), [([5, 9], [1, 1], 'found'), ([5, 5], [0, 1], 'true')]
)
def test_an_identity_twice_in_a_frame_is_refused(true, found, word):
    frame = ComparedFrame(np.array(true), np.array(found), np.eye(2))
    with pytest.raises(UserError, match=f'The {word} identity . occurs 2 times in frame 0'):
        tracking_scores([[frame]])


def test_a_missing_trackeval_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'trackeval', None)
    monkeypatch.setitem(sys.modules, 'trackeval.metrics', None)
    with pytest.raises(UserError, match='pip install --no-deps trackeval'):
        tracking_scores([])


def labels(folder, **changes):
    """Write frames of two persons that walk through each other's column; return the file."""
    images, annotations = [], []
    for video in ('a', 'b'):
        (folder / video).mkdir(exist_ok=True)
        for frame in range(FRAMES):
            name = f'{video}/{frame:06d}.png'
            cv2.imwrite(str(folder / name), np.zeros((120, 700, 3), np.uint8))
            images.append(dict(id=len(images), file_name=name, width=700, height=120))
            for identity, x in enumerate((20 * frame, 500 - 20 * frame)):
                # The third frame has no person.
                if frame == 2:
                    continue
                keypoints = np.column_stack([person(x), np.full(17, 2)])
                annotation = dict(
                    id=len(annotations),
                    image_id=images[-1]['id'],
                    category_id=1,
                    track_id=identity,
                    bbox=[x, 0, 100, 100],
                    area=10_000,
                    iscrowd=0,
                    num_keypoints=17,
                    keypoints=keypoints.ravel().tolist(),
                )
                annotations.append(annotation | changes)
    file = folder / 'labels.json'
    categories = [dict(id=1, name='person')]
    file.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return file


def samples(folder, file):
    """Samples of the stock dataset whose predictions are the labels."""
    dataset = CocoDataset(
        ann_file=str(file), data_prefix=dict(img=f'{folder}/'), pipeline=PIPELINE, test_mode=True
    )
    for index in range(len(dataset)):
        sample = dataset[index]['data_samples']
        keypoints = np.reshape(sample.raw_ann_info['keypoints'], (1, 17, 3))
        sample.pred_instances = InstanceData(
            keypoints=keypoints[..., :2],
            keypoint_scores=np.full((1, 17), 0.9),
            bboxes=sample.gt_instances.bboxes,
        )
        yield sample
    assert len(dataset) == 4 * (FRAMES - 1)


@pytest.mark.usefixtures('_trackeval')
def test_in_an_evaluator(tmp_path):
    file = labels(tmp_path)
    metric = ConfigDict(type='TrackingMetric', ann_file=str(file), tracker=dict(mode='online'))
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = dict(sigmas=np.full(17, 0.05))
    found = list(samples(tmp_path, file))
    evaluator.process(found)
    evaluator.process(found[-3:])  # as a distributed sampler repeats the last ones
    expected = dict(HOTA=100, IDSW=0, IDF1=100, MOTA=100, Frag=0)
    size = len(found) + 3
    values = evaluator.evaluate(size)
    assert values == pytest.approx({f'tracking/{name}': v for name, v in expected.items()})


@pytest.mark.usefixtures('_trackeval')
def test_the_settings_of_the_tracker_are_used(tmp_path):
    file = labels(tmp_path)
    metric = TrackingMetric(str(file), dict(memory=0, tentative_memory=0, confirmations=1))
    metric.process(None, [sample.to_dict() for sample in samples(tmp_path, file)])
    # Both persons get a new identity after the empty frame of each video.
    assert metric.evaluate(4 * (FRAMES - 1))['tracking/IDSW'] == 4


def test_frames_are_ordered_by_number(tmp_path):
    file = labels(tmp_path)
    content = json.loads(file.read_text())
    content['images'].reverse()
    file.write_text(json.dumps(content))
    videos = read_videos(file, 10)
    assert [frame.image_id for frame in videos['b']] == list(range(FRAMES, 2 * FRAMES))
    assert [frame.time for frame in videos['b']][:3] == [0, 0.1, 0.2]
    assert len(videos['a'][2].track_ids) == 0


def test_wrong_input_is_refused(tmp_path):
    file = labels(tmp_path)
    with pytest.raises(UserError, match="mode='sort' does not exist"):
        TrackingMetric(str(file), dict(mode='sort'))
    with pytest.raises(UserError, match='frame_rate=0 must be positive'):
        TrackingMetric(str(file), frame_rate=0)
    with pytest.raises(UserError, match='is not a COCO file'):
        TrackingMetric(str(tmp_path / 'absent.json'))
    content = json.loads(file.read_text())
    del content['annotations'][0]['track_id']
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match='Annotation 0 .* has no track_id'):
        TrackingMetric(str(file))

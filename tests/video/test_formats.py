import csv
import json

import numpy as np
import pytest
from test_tracker import person
from xtcocotools.coco import COCO

from okdhp_mm.errors import UserError
from okdhp_mm.video.draw import TrailDrawer
from okdhp_mm.video.formats import WRITERS, read_poses
from okdhp_mm.video.track import smooth_video, track_video

NAMES = [f'point{k}' for k in range(17)]
FRAMES = 6


def pose(frame, which):
    return person(20 * frame if which == 0 else 500 - 10 * frame)


def instance(frame, which):
    box = [float(v) for v in (*pose(frame, which).min(0), *pose(frame, which).max(0))]
    return dict(
        keypoints=pose(frame, which).tolist(),
        keypoint_scores=[0.8] * 17,
        bbox=[box],
        bbox_score=0.9,
    )


def frames():
    return [
        dict(frame_id=index, instances=[instance(index, 0), instance(index, 1)])
        for index in range(FRAMES)
    ]


def ours():
    meta = dict(frame_rate=10.0, keypoint_names=NAMES, skeleton=[[0, 1]])
    timed = [dict(frame, time=frame['frame_id'] / 10) for frame in frames()]
    return dict(meta_info=meta, instance_info=timed)


def triples(index, which, value):
    return np.column_stack([pose(index, which), np.full(17, value)]).ravel().tolist()


def results():
    return [
        dict(image_id=index, category_id=1, keypoints=triples(index, which, 0.8), score=0.7)
        for index in range(FRAMES)
        for which in (0, 1)
    ]


def annotations():
    images = [dict(id=100 + index, frame_id=index, vid_id='v') for index in range(FRAMES)]
    persons = [
        dict(image_id=100 + index, keypoints=triples(index, which, 2), bbox=[0, 0, 100, 100])
        for index in range(FRAMES)
        for which in (0, 1)
    ]
    category = dict(id=1, keypoints=NAMES, skeleton=[[1, 2]])
    return dict(images=images, annotations=persons, categories=[category])


LAYOUTS = dict(
    ours=ours,
    stock=frames,
    demo=lambda: dict(instance_info=frames()),
    results=results,
    annotations=annotations,
)


def written(folder, content):
    file = folder / 'poses.json'
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_can_be_tracked(tmp_path, layout):
    video = read_poses(written(tmp_path, LAYOUTS[layout]()))
    assert track_video(video) == 2
    assert [frame.ids.tolist() for frame in video.frames] == [[0, 1]] * FRAMES
    assert np.allclose(video.frames[2].keypoints[1], pose(2, 1))
    rate = 10 if layout == 'ours' else 25
    assert [frame.time for frame in video.frames] == [index / rate for index in range(FRAMES)]


def test_the_frame_rate_can_be_given(tmp_path):
    video = read_poses(written(tmp_path, ours()), rate=5)
    assert video.frames[1].time == 0.2
    with pytest.raises(UserError, match='0 frames per second'):
        read_poses(written(tmp_path, ours()), rate=0)


@pytest.fixture
def tracked(tmp_path):
    content = ours()
    # A frame without persons, and a person that is seen once.
    content['instance_info'][3]['instances'] = []
    content['instance_info'][4]['instances'].append(
        instance(0, 0) | dict(keypoints=person(3000).tolist())
    )
    video = read_poses(written(tmp_path, content))
    track_video(video)
    return video


def test_json_can_be_read_again(tracked, tmp_path):
    WRITERS['json'](tmp_path / 'out.json', tracked)
    again = read_poses(tmp_path / 'out.json')
    assert again.keypoint_names == NAMES
    assert again.rate == 10
    assert np.allclose(again.frames[1].keypoints, tracked.frames[1].keypoints)
    entries = json.loads((tmp_path / 'out.json').read_text())['instance_info']
    assert [[p['track_id'] for p in entry['instances']] for entry in entries] == [
        *[[0, 1]] * 3, [], [0, 1, -1], [0, 1]
    ]  # fmt: skip
    assert entries[3]['time'] == 0.3


def test_coco_results(tracked, tmp_path):
    WRITERS['coco'](tmp_path / 'out.json', tracked)
    entries = json.loads((tmp_path / 'out.json').read_text())
    assert len(entries) == 10, 'without what has no identity'
    assert entries[1]['track_id'] == 1
    assert entries[-1]['time'] == 0.5
    assert entries[0]['score'] == pytest.approx(0.72)
    assert len(read_poses(tmp_path / 'out.json').frames) == 5


def test_posetrack_is_read_by_coco(tracked, tmp_path):
    WRITERS['posetrack'](tmp_path / 'out.json', tracked)
    content = COCO(str(tmp_path / 'out.json'))
    assert len(content.getImgIds()) == FRAMES
    (first, second) = content.loadAnns(content.getAnnIds(imgIds=5))
    assert (first['track_id'], second['track_id']) == (0, 1)
    assert content.loadCats(1)[0]['skeleton'] == [[1, 2]]
    assert len(read_poses(tmp_path / 'out.json').frames) == FRAMES


def test_csv(tracked, tmp_path):
    WRITERS['csv'](tmp_path / 'out.csv', tracked)
    with open(tmp_path / 'out.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert (rows[3]['frame'], rows[3]['time'], rows[3]['track_id']) == ('1', '0.1', '1')
    assert float(rows[3]['point16_x']) == pytest.approx(pose(1, 1)[16, 0], abs=1e-4)


@pytest.mark.parametrize('layout', ['json', 'coco', 'posetrack', 'csv'])
def test_keypoints_that_are_not_finite_can_be_written(tracked, tmp_path, layout):
    tracked.frames[0].keypoints[0, 3] = np.nan
    WRITERS[layout](tmp_path / 'out', tracked)
    assert 'nan' not in (tmp_path / 'out').read_text().lower()


def test_poses_without_boxes_get_one(tmp_path):
    video = read_poses(written(tmp_path, results()))
    track_video(video)
    WRITERS['posetrack'](tmp_path / 'out.json', video)
    box = json.loads((tmp_path / 'out.json').read_text())['annotations'][0]['bbox']
    low, high = pose(0, 0).min(0), pose(0, 0).max(0)
    assert np.allclose(box, [*low, *(high - low)])


def test_smoothing_reports_how_far_keypoints_moved(tmp_path):
    video = read_poses(written(tmp_path, ours()))
    track_video(video)
    before = video.frames[3].keypoints.copy()
    assert smooth_video(video, 'none') == 0
    assert np.array_equal(video.frames[3].keypoints, before)
    assert smooth_video(video, 'one_euro') > 0.01
    assert not np.array_equal(video.frames[3].keypoints, before)
    with pytest.raises(UserError, match="smoother='kalman' does not exist"):
        smooth_video(video, 'kalman')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'is not complete JSON'),
        ('3', 'none of the known layouts'),
        ('{"a": 1}', 'none of the known layouts'),
        ('[{"image_id": 1}]', 'none of the known layouts'),
        ('[{"frame_id": 1, "instances": 4}]', 'none of the known layouts'),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    file = tmp_path / 'poses.json'
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        read_poses(file)
    with pytest.raises(UserError, match='cannot be read'):
        read_poses(tmp_path / 'absent.json')


def changed(change):
    content = ours()
    change(content, content['instance_info'][2]['instances'][0])
    return content


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c, p: p.update(keypoint_scores=[0.8] * 16), 'Frame 2: .* 16 and 17 keypoints'),
        (lambda c, p: c['meta_info'].update(frame_rate=-3), '-3 frames per second'),
        (lambda c, p: c['meta_info'].update(frame_rate=float('nan')), 'nan frames per second'),
        (lambda c, p: c['meta_info'].update(keypoint_names=['a']), 'names 1 keypoints, .* have 17'),
        (lambda c, p: c['meta_info'].update(keypoint_names=3), 'none of the known layouts'),
        (lambda c, p: c['meta_info'].update(skeleton=[[0, 99]]), 'keypoints 0 and 99 .* have 17'),
        (lambda c, p: c['meta_info'].update(skeleton=[[0]]), 'none of the known layouts'),
        (lambda c, p: p.update(bbox=[[1, 2, 3]]), r'Frame 2: the box \[1, 2, 3\] must have four'),
        (
            lambda c, p: [q.update(bbox=[[1, 2]]) for q in c['instance_info'][2]['instances']],
            r'Frame 2: the box \[1, 2\] must have four',
        ),
        (lambda c, p: p.update(keypoints=[], keypoint_scores=[]), 'Frame 2: a pose has no keypoi'),
        (lambda c, p: c['instance_info'][2].update(instances=None), 'none of the known layouts'),
    ],
)
def test_files_that_contradict_themselves_are_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        read_poses(written(tmp_path, changed(change)))


@pytest.mark.parametrize(
    'change',
    [
        lambda c, p: p.update(keypoint_scores=[float('nan')] * 17),
        lambda c, p: p.update(keypoints=[[None, None]] * 17),
        lambda c, p: p.update(keypoints=[[1e300, -1e300]] * 17),
        lambda c, p: p.update(bbox=[[float('nan')] * 4]),
        lambda c, p: p.update(bbox=None),
        lambda c, p: p.update(bbox_score=None),
        lambda c, p: c.update(meta_info=None),
        lambda c, p: c['meta_info'].update(keypoint_names=None, skeleton=None),
    ],
)
def test_missing_values_harm_no_other_pose(tmp_path, change):
    video = read_poses(written(tmp_path, changed(change)))
    assert track_video(video) == 2
    assert [frame.ids[1] for frame in video.frames] == [1] * FRAMES
    drawer = TrailDrawer([[0, 1]])
    for frame in video.frames:
        drawer.draw(np.zeros((90, 90, 3), np.uint8), frame.time, frame.keypoints, frame.scores,
                    frame.ids)  # fmt: skip
    for layout, write in WRITERS.items():
        write(tmp_path / layout, video)
        assert 'nan' not in (tmp_path / layout).read_text().lower()
    assert len(read_poses(tmp_path / 'json').frames) == FRAMES


def test_results_without_keypoints_are_refused(tmp_path):
    with pytest.raises(UserError, match='Frame 0: a pose has no keypoints'):
        read_poses(written(tmp_path, [dict(image_id=0, keypoints=[], score=0.5)]))


def test_several_videos_in_a_file_are_refused(tmp_path):
    content = annotations()
    content['images'][0]['vid_id'] = 'w'
    with pytest.raises(UserError, match='has 2 videos'):
        read_poses(written(tmp_path, content))


def test_poses_of_several_skeletons_are_refused(tmp_path):
    content = ours()
    for person_ in content['instance_info'][2]['instances']:
        person_['keypoints'], person_['keypoint_scores'] = [[0, 0]], [1]
    with pytest.raises(UserError, match='Poses have 1 and 17 keypoints'):
        read_poses(written(tmp_path, content))


def test_frames_given_twice_are_refused(tmp_path):
    content = ours()
    content['instance_info'][2]['frame_id'] = 1
    content['instance_info'][2]['time'] = 0.1
    with pytest.raises(UserError, match='Frame 1: time_s=0.1 must be later'):
        track_video(read_poses(written(tmp_path, content)))


@pytest.mark.parametrize('content', ['[]', '{"instance_info": []}'])
def test_a_video_without_frames(tmp_path, content):
    file = tmp_path / 'poses.json'
    file.write_text(content)
    video = read_poses(file)
    assert track_video(video) == 0
    for name, write in WRITERS.items():
        write(tmp_path / name, video)

"""Exported DKD estimators: the graphs equal PyTorch, and each track keeps its own state."""

import copy
import json
import re
import runpy
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from common import build, paired_metainfo, shake
from films import METAINFO, film_dataset, write_film
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from test_dkd import dkd

from okdhp_mm.errors import UserError
from okdhp_mm.student.files import CONFIG
from okdhp_mm.student.load import load_student

pytest.importorskip('onnx', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")

import onnx  # noqa: E402

from okdhp_mm.deploy.onnx_pose import OnnxPose  # noqa: E402
from okdhp_mm.video.dkd.export import export_dkd, torch_steps  # noqa: E402
from okdhp_mm.video.dkd.onnx_video_pose import OnnxVideoPose  # noqa: E402

ROOT = Path(__file__).parents[3]
BOXES = [[2.0, 4.0, 30.0, 40.0], [30.0, 10.0, 60.0, 44.0], [8.0, 20.0, 50.0, 60.0]]


def config_of(film, **changes):
    dataset = dict(type='ClipDataset', dataset=film_dataset(film, targets=False))
    return Config(
        dict(
            default_scope='mmpose',
            custom_imports=dict(imports=['okdhp_mm'], allow_failed_imports=False),
            model=dkd(freeze_initializer=True, **changes),
            test_dataloader=dict(batch_size=2, dataset=dataset),
            test_evaluator=dict(type='ClipMetric', metric=dict(type='PCKAccuracy')),
        )
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A config and the checkpoint of its model, with weights that differ."""
    folder = tmp_path_factory.mktemp('trained')
    cfg = config_of(write_film(folder / 'film', videos=1, frames=2))
    model = shake(build(cfg.model))
    meta = dict(dataset_meta=parse_pose_metainfo(METAINFO))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'dkd.pth')
    return cfg, folder / 'dkd.pth', model.eval()


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp('exported')
    export_dkd(*trained[:2], folder)
    return folder


def test_the_config_of_the_initializer_has_the_keypoints_in_their_order(trained, tmp_path):
    cfg = copy.deepcopy(trained[0])
    cfg.test_dataloader.dataset.dataset.metainfo = paired_metainfo(12)
    export_dkd(cfg, trained[1], tmp_path / 'out')
    written = Config.fromfile(tmp_path / 'out' / CONFIG).test_dataloader.dataset
    assert list(written.metainfo.keypoint_info) == list(range(12))


@pytest.fixture(scope='module')
def pictures():
    return np.random.default_rng(0).integers(0, 255, (50, 64, 64, 3), np.uint8)


def test_fifty_frames_equal_pytorch(trained, exported, pictures):
    pose = OnnxVideoPose(exported)
    frames = [torch.from_numpy(pose.initializer.crops(p, BOXES)[0]) for p in pictures]
    for t, (picture, expected) in enumerate(
        zip(pictures, torch_steps(trained[2], frames), strict=True)
    ):
        keypoints, scores = pose(picture, BOXES, [5, 6, 7])
        _, corner, size = pose.initializer.crops(picture, BOXES)
        theirs = expected[0] / pose.initializer.input_size * size + corner
        assert abs(keypoints - theirs).max() < 1e-3, f'frame {t}'
        assert np.allclose(scores, expected[1], atol=1e-4)


def test_the_first_frame_is_that_of_the_initializer_bit_for_bit(exported, pictures):
    alone = OnnxPose(exported / 'initializer.onnx')(pictures[0], BOXES)
    first = OnnxVideoPose(exported)(pictures[0], BOXES, [0, 1, 2])
    for ours, theirs in zip(first, alone, strict=True):
        assert np.array_equal(ours, theirs)


def test_a_track_is_what_it_would_be_alone(exported, pictures):
    """Also if another person appears, leaves, or stands at another place of the batch."""
    alone, among = OnnxVideoPose(exported), OnnxVideoPose(exported)
    groups = [[3], [3, 8], [8, 3], [1, 8, 3], [3, 1], [3]]
    for picture, ids in zip(pictures, groups, strict=False):
        boxes = [BOXES[identity % 3] for identity in ids]
        expected = alone(picture, [BOXES[0]], [3])[0][0]
        found = among(picture, boxes, ids)[0][ids.index(3)]
        assert np.allclose(found, expected, atol=1e-3)
    assert set(among.states) == {3}


def test_a_track_that_returns_starts_anew(exported, pictures):
    pose = OnnxVideoPose(exported)
    first = OnnxPose(exported / 'initializer.onnx')
    pose(pictures[0], BOXES[:1], [4])
    assert pose(pictures[1], [], [])[0].shape == (0, 3, 2)
    assert not pose.states
    found = pose(pictures[2], BOXES[:1], [4])[0]
    assert np.array_equal(found, first(pictures[2], BOXES[:1])[0])
    pose.reset()
    assert np.array_equal(pose(pictures[3], BOXES[:1], [4])[0], first(pictures[3], BOXES[:1])[0])
    # Without an identity, a person is new in every frame.
    for picture in pictures[4:6]:
        found = pose(picture, BOXES[:1], [-1])[0]
        assert np.array_equal(found, first(picture, BOXES[:1])[0])


def test_reinitialization(exported, pictures):
    pose = OnnxVideoPose(exported, reinitialize_every=3)
    first = OnnxPose(exported / 'initializer.onnx')
    same = [
        np.array_equal(pose(p, BOXES[:1], [0])[0], first(p, BOXES[:1])[0]) for p in pictures[:7]
    ]
    assert same == [True, False, False, True, False, False, True]


@pytest.mark.parametrize('ids', [[1, 1, 2], [1, 2]])
def test_wrong_identities_are_refused(exported, pictures, ids):
    with pytest.raises(ValueError, match='give each box one identity'):
        OnnxVideoPose(exported)(pictures[0], BOXES, ids)


def test_the_initializer_is_a_stock_student(trained, exported):
    student = load_student(exported)
    assert type(student).__module__.startswith('mmpose.')
    assert 'okdhp_mm' not in (exported / 'student.py').read_text()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = trained[2].initial_heatmaps(images)
        assert torch.equal(student(images, None, mode='tensor'), expected)


def test_an_incomplete_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match='has no initializer.onnx and no dkd_step.onnx'):
        OnnxVideoPose(tmp_path)


@pytest.mark.parametrize('box', [[5, 5, 5, 5], [9, 9, 3, 3], [-40, -40, -2, -2]])
def test_boxes_without_a_picture_give_finite_poses(exported, pictures, box):
    pose = OnnxVideoPose(exported)
    for picture in pictures[:3]:
        keypoints, scores = pose(picture, [box, BOXES[0]], [0, 1])
        assert np.isfinite(keypoints).all() and np.isfinite(scores).all()


def test_boxes_that_are_not_finite_are_refused_and_the_state_stays(exported, pictures):
    pose = OnnxVideoPose(exported)
    pose(pictures[0], BOXES[:1], [0])
    with pytest.raises(ValueError, match='give x1 y1 x2 y2 for each person, finite numbers'):
        pose(pictures[1], [[0, 0, float('nan'), 9]], [0])
    assert set(pose.states) == {0}


def test_a_crowd_of_500(exported, pictures):
    pose = OnnxVideoPose(exported)
    for picture in pictures[:2]:
        assert pose(picture, 500 * BOXES[:1], range(500))[0].shape == (500, 3, 2)
    assert len(pose.states) == 500


def test_the_graph_of_another_student_is_refused(exported, tmp_path):
    shutil.copy(exported / 'dkd_step.onnx', tmp_path)
    graph = onnx.load(str(exported / 'initializer.onnx'))
    del graph.graph.output[2]  # as in a student.onnx
    (tmp_path / 'initializer.onnx').write_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match='are of different students: the step needs heatmaps of'):
        OnnxVideoPose(tmp_path)


def test_controls_that_need_crops_are_refused(trained, tmp_path):
    cfg = Config(trained[0].to_dict())
    cfg.model.distillator = dict(type='LastHeatmaps')
    meta = dict(dataset_meta=parse_pose_metainfo(METAINFO))
    state = build(cfg.model).state_dict()
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'last.pth')
    with pytest.raises(UserError, match='LastHeatmaps is a control of DKD'):
        export_dkd(cfg, tmp_path / 'last.pth', tmp_path / 'out')
    assert not (tmp_path / 'out' / 'student.py').exists()


def test_the_checkpoint_of_another_model_is_refused(trained, tmp_path):
    state = {name: value for name, value in list(trained[2].state_dict().items())[:-1]}
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    with pytest.raises(UserError, match='other.pth is not a checkpoint of this config'):
        export_dkd(trained[0], tmp_path / 'other.pth', tmp_path / 'out')


def test_an_old_student_is_kept(trained, exported):
    with pytest.raises(UserError, match='exist already'):
        export_dkd(*trained[:2], exported)


def test_the_tutorial_finds_two_animals(exported, tmp_path, monkeypatch):
    """Its commands from the export on, on white ellipses instead of flies."""
    page = (ROOT / 'docs' / 'tutorials' / 'video.md').read_text()
    *_, boxes, follow = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    (command,) = (line for line in page.splitlines() if 'tools/infer.py' in line)
    clip = tmp_path / 'data' / 'fly_pair' / 'clip.mp4'
    clip.parent.mkdir(parents=True)
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*'mp4v'), 10.0, (160, 120))
    for index in range(5):
        frame = np.full((120, 160, 3), 20, np.uint8)
        for x, y in ((40, 40), (110, 80)):
            cv2.ellipse(frame, (x + 2 * index, y), (25, 12), 0, 0, 360, (220, 220, 220), -1)
        writer.write(frame)
    writer.release()
    shutil.copytree(exported, tmp_path / 'flies')
    monkeypatch.chdir(tmp_path)
    exec(compile(boxes, 'boxes.py', 'exec'), {})  # noqa: S102
    found = json.loads((tmp_path / 'boxes.json').read_text())['clip.mp4']
    assert [len(frame) for frame in found] == [2] * 5
    _, script, *words = shlex.split(command)
    monkeypatch.setattr('sys.argv', [script, *words])
    runpy.run_path(str(ROOT / script), run_name='__main__')
    assert (tmp_path / 'tracks/visualizations/clip.mp4').stat().st_size
    assert len((tmp_path / 'tracks/poses.csv').read_text().splitlines()) == 1 + 2 * 5
    names = {}
    exec(compile(follow, 'follow.py', 'exec'), names)  # noqa: S102
    assert names['keypoints'].shape == (2, 3, 2) and len(names['pose'].states) == 2

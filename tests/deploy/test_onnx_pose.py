"""The graph without torch, and compared with the stock inferencer."""

import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from common import Touch, python
from mmengine.dataset import Compose
from mmpose.apis import MMPoseInferencer
from students import SIZE

from okdhp_mm.datasets.synthetic import draw_figure
from okdhp_mm.deploy.inference.engines import OnnxEngine, TorchEngine
from okdhp_mm.errors import UserError

onnx = pytest.importorskip('onnx', reason="comes with pip install -e '.[onnx]'")
onnxruntime = pytest.importorskip('onnxruntime', reason="comes with pip install -e '.[onnx]'")
pytest.importorskip('onnxscript', reason="comes with pip install -e '.[onnx]'")

from okdhp_mm.deploy.onnx_pose import EXTERNAL, OnnxPose  # noqa: E402

ROOT = Path(__file__).parents[2]
TOLERANCE = 0.05


@pytest.mark.parametrize('use_udp', [False, True])
def test_crops_are_those_of_the_stock_pipeline(decoded, use_udp):
    pose = OnnxPose(decoded[0] / 'student.onnx')
    pose.use_udp = use_udp
    image = draw_figure(np.random.default_rng(3)).image
    for box in ([10, 20, 90, 150], [30, 60, 110, 90], [-5, -7, 200, 200]):
        pipeline = Compose(
            [
                dict(type='GetBBoxCenterScale', padding=1.1),
                dict(type='TopdownAffine', input_size=SIZE, use_udp=use_udp),
            ]
        )
        stock = pipeline(dict(img=image, bbox=np.array([box], np.float32)))
        box = np.array(box, np.float32)
        scale = pose._scale(box)
        assert scale == pytest.approx(stock['input_scale'])
        crop = pose._crop(image, (box[:2] + box[2:]) / 2, scale).transpose(1, 2, 0)
        pixels = (crop * pose.std + pose.mean)[..., ::-1]
        assert abs(pixels - stock['img']).max() < 0.01


def test_both_engines_find_the_same(decoded):
    folder, _ = decoded
    image = draw_figure(np.random.default_rng(3)).image
    boxes = [[10, 20, 90, 150], [30, 60, 110, 100]]
    for given in (None, boxes):
        theirs, ours = (
            engine(image, given)
            for engine in (TorchEngine(folder, 'cpu'), OnnxEngine(folder, 'student.onnx'))
        )
        assert len(ours) == len(theirs) == len(given or [0])
        for a, b in zip(ours, theirs, strict=True):
            assert a.keys() == b.keys()
            assert np.allclose(a['keypoints'], b['keypoints'], atol=TOLERANCE)
            assert np.allclose(a['keypoint_scores'], b['keypoint_scores'], atol=1e-3)
            assert np.allclose(a['bbox'], b['bbox'])


def test_both_engines_know_names_and_skeleton(decoded):
    folder, _ = decoded
    theirs, ours = TorchEngine(folder, 'cpu'), OnnxEngine(folder, 'student.onnx')
    assert ours.keypoint_names == theirs.keypoint_names
    assert ours.skeleton == theirs.skeleton


def test_the_graph_of_a_strangers_folder_runs_no_other_file(decoded, tmp_path):
    """A folder's graph runs without reading its config and its checkpoint."""
    marker = tmp_path / 'it-was-run'
    folder = tmp_path / 'student'
    shutil.copytree(decoded[0], folder)
    (folder / 'student.py').write_text(f"open({str(marker)!r}, 'w')\n")
    (folder / 'student.pth').write_bytes(pickle.dumps(Touch(marker)))
    image = draw_figure(np.random.default_rng(3)).image
    assert len(OnnxEngine(folder, 'student.onnx')(image, None)) == 1
    assert not marker.exists()


def test_a_strangers_checkpoint_is_refused_by_our_engine_and_run_by_the_stock_one(
    decoded, tmp_path
):
    """README warns of the stock inferencer: the warning must stay true, or go."""
    marker = tmp_path / 'it-was-run'
    folder = tmp_path / 'student'
    shutil.copytree(decoded[0], folder)
    content = torch.load(folder / 'student.pth', weights_only=False)
    torch.save(content | dict(optimizer=Touch(marker)), folder / 'student.pth')
    with pytest.raises(UserError, match=r'student\.pth is refused'):
        TorchEngine(folder, 'cpu')
    assert not marker.exists()
    MMPoseInferencer(
        str(folder / 'student.py'),
        str(folder / 'student.pth'),
        device='cpu',
        det_model='whole_image',
    )
    assert marker.exists()


def test_without_boxes_there_are_no_persons(decoded):
    image = draw_figure(np.random.default_rng(3)).image
    keypoints, scores = OnnxPose(decoded[0] / 'student.onnx')(image, [])
    assert (keypoints.shape, scores.shape) == ((0, 17, 2), (0, 17))
    assert OnnxEngine(decoded[0], 'student.onnx')(image, []) == []


def test_gray_and_transparent_images_are_taken(decoded):
    pose = OnnxPose(decoded[0] / 'student.onnx')
    image = draw_figure(np.random.default_rng(3)).image
    transparent = np.dstack([image, np.full(image.shape[:2], 7, np.uint8)])
    assert np.array_equal(pose(transparent)[0], pose(image)[0])
    gray = image[..., 1]
    expected = pose(np.dstack([gray] * 3))[0]
    assert np.array_equal(pose(gray)[0], expected)
    assert np.array_equal(pose(gray[..., None])[0], expected)


@pytest.mark.parametrize(
    'image, boxes, match',
    [
        (None, None, 'The image is None: give an array of uint8'),
        (np.zeros((9, 9, 3)), None, 'The image is float64'),
        (np.zeros((9, 9, 2), np.uint8), None, r'The image has the shape \(9, 9, 2\)'),
        (np.zeros((9, 9, 3), np.uint8), [[0, 0, np.inf, 9]], 'finite numbers'),
        (np.zeros((9, 9, 3), np.uint8), [[0, 0, 9]], 'x1 y1 x2 y2 for each person'),
        (np.zeros((9, 9, 3), np.uint8), [0, 0, 9, 9], 'x1 y1 x2 y2 for each person'),
    ],
)
def test_wrong_images_and_boxes_are_refused(decoded, image, boxes, match):
    with pytest.raises(ValueError, match=match):
        OnnxPose(decoded[0] / 'student.onnx')(image, boxes)


WITHOUT_TORCH = """
import importlib.abc, importlib.util, sys

class Impossible(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'mmpose', 'mmengine', 'mmcv', 'okdhp_mm'):
            raise ImportError(f'{name} is gone')

sys.meta_path.insert(0, Impossible())
module, student, image = sys.argv[1:]
spec = importlib.util.spec_from_file_location('onnx_pose', module)
onnx_pose = importlib.util.module_from_spec(spec)
spec.loader.exec_module(onnx_pose)
import cv2
keypoints, scores = onnx_pose.OnnxPose(student, threads=1)(cv2.imread(image))
print(keypoints.shape, scores.shape)
"""


def test_it_runs_without_torch(decoded, pictures, tmp_path):
    module = ROOT / 'okdhp_mm' / 'deploy' / 'onnx_pose.py'
    arguments = ('-c', WITHOUT_TORCH, module, decoded[0] / 'student.onnx', pictures / '0.png')
    result = subprocess.run(python(*arguments), cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.strip() == '(1, 17, 2) (1, 17)', result.stderr[-1500:]


def test_a_graph_that_gives_maps_is_refused_by_what_wants_keypoints(simcc):
    with pytest.raises(UserError, match='gives maps, not keypoints: export it with --onnx --dec'):
        OnnxEngine(simcc[0], 'student.onnx')


def test_a_graph_of_another_program_is_refused(tmp_path):
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node('Relu', ['x'], ['y'])]
    graph = onnx.helper.make_graph(nodes, 'graph', [value('x', 1, [1])], [value('y', 1, [1])])
    opset = [onnx.helper.make_opsetid('', 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.save(model, str(tmp_path / 'student.onnx'))
    with pytest.raises(UserError, match='does not say how to crop'):
        OnnxEngine(tmp_path, 'student.onnx')


def with_metadata(model, **changes):
    """The graph with other metadata; None removes an entry."""
    entries = {entry.key: entry.value for entry in model.metadata_props} | changes
    onnx.helper.set_model_props(model, {k: v for k, v in entries.items() if v is not None})


def external(model, name='w.bin'):
    """Move the first weights into another file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField('raw_data')
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value=name)


CROP = '{"input_size": [%s], "padding": %s, "use_udp": false}'
PIXELS = '{"channels": "RGB", "mean": %s, "std": %s}'
HOSTILE = {
    'weights outside': lambda model: external(model, '../secret.bin'),
    'weights at a path': lambda model: external(model, '/etc/passwd'),
    'weights beside': external,
    'unknown operator': lambda model: setattr(model.graph.node[0], 'op_type', 'Unknown'),
    'unknown domain': lambda model: setattr(model.graph.node[0], 'domain', 'custom'),
    'no nodes': lambda model: model.graph.ClearField('node'),
    'no crop': lambda model: with_metadata(model, crop=None),
    'no names': lambda model: with_metadata(model, keypoint_names=None),
    'text as crop': lambda model: with_metadata(model, crop='text'),
    'list as crop': lambda model: with_metadata(model, crop='[1, 2]'),
    'nested crop': lambda model: with_metadata(model, crop='[' * 100_000),
    'other size': lambda model: with_metadata(model, crop=CROP % ('640, 960', 1.25)),
    'no size': lambda model: with_metadata(model, crop=CROP % ('', 1.25)),
    'no padding': lambda model: with_metadata(model, crop=CROP % ('64, 96', 0)),
    'infinite padding': lambda model: with_metadata(model, crop=CROP % ('64, 96', 1e999)),
    'one mean': lambda model: with_metadata(model, pixels=PIXELS % ([0], [1])),
    'infinite mean': lambda model: with_metadata(model, pixels=PIXELS % ('[NaN, 0, 0]', [1] * 3)),
    'few names': lambda model: with_metadata(model, keypoint_names='["nose"]'),
    'numbers as names': lambda model: with_metadata(model, keypoint_names=str([1] * 17)),
    'far skeleton': lambda model: with_metadata(model, skeleton='[[0, 99]]'),
    'odd skeleton': lambda model: with_metadata(model, skeleton='[[0]]'),
}


@pytest.mark.parametrize('change', HOSTILE.values(), ids=HOSTILE)
def test_an_odd_graph_is_refused_in_one_sentence(change, decoded, tmp_path):
    model = onnx.load(decoded[0] / 'student.onnx')
    change(model)
    (tmp_path / 'student.onnx').write_bytes(model.SerializeToString())
    (tmp_path / 'w.bin').write_bytes(bytes(1 << 20))
    with pytest.raises(UserError, match=r'student\.onnx ') as caught:
        OnnxEngine(tmp_path, 'student.onnx')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('tag', [b'\x0a', b'\x8a\x00', b'\x8a\x80\x80\x00'])
@pytest.mark.parametrize('length', [b'\x08', b'\x88\x00', b'\x88\x80\x00'])
def test_no_spelling_hides_the_name_of_another_file(tag, length):
    """A number in protobuf may have more bytes than it needs."""
    spelled = tag + length + b'location'
    assert onnx.StringStringEntryProto.FromString(spelled).key == 'location'
    assert EXTERNAL.search(b'x' + spelled)


@pytest.mark.parametrize('share', [0, 0.1, 0.5, 0.999])
def test_a_cut_graph_is_refused_in_one_sentence(share, decoded, tmp_path):
    content = (decoded[0] / 'student.onnx').read_bytes()
    (tmp_path / 'student.onnx').write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r'student\.onnx ') as caught:
        OnnxEngine(tmp_path, 'student.onnx')
    assert '\n' not in str(caught.value)


def test_a_huge_file_is_refused_without_reading_it(tmp_path):
    with open(tmp_path / 'student.onnx', 'wb') as file:
        file.truncate(2**31 + 1)
    with pytest.raises(UserError, match='larger than 2 GiB'):
        OnnxEngine(tmp_path, 'student.onnx')
